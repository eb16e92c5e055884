// SPDX-License-Identifier: MIT
// The public headers are C11 (with GNU statement expressions where LIBBPF_OPTS is used).
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <casement/embedded.h>
#include <casement/vm.h>

int public_headers_compile_as_c(void);
int public_headers_compile_as_c(void) {
    LIBBPF_OPTS(bpf_test_run_opts, run, .repeat = 3);
    LIBBPF_OPTS(ebpf_replay_opts, replay);
    const struct casement_helper helper = {.number = 1, .ret = CASEMENT_RET_SCALAR};
    const casement_entry_fn entry = NULL;
    return run.repeat == 3 && run.sz == sizeof run && replay.sz == sizeof replay &&
           helper.number == 1 && entry == NULL;
}
