# systemd's own reading of the unit, with the built daemon in the installed one's place.
file(READ ${UNIT} text)
string(REGEX REPLACE "ExecStart=[^ ]+" "ExecStart=${PROGRAM}" text "${text}")
file(WRITE ${WORK}/ebpfsvc.service "${text}")
execute_process(COMMAND ${ANALYZE} verify --man=no ${WORK}/ebpfsvc.service
  RESULT_VARIABLE status ERROR_VARIABLE said OUTPUT_VARIABLE said)
if(NOT status EQUAL 0 OR said MATCHES "ebpfsvc.service")
  message(FATAL_ERROR "systemd-analyze verify (status ${status}):\n${said}")
endif()
