// SPDX-License-Identifier: MIT
//
// An object's descriptor is a handle of Windows: what processes do with handles, and what remains.
// The program is also the other process: see child().
#include <cstring>

#include "driver_test.hpp"

namespace ebpf::wine {
namespace {

using spec::Command;
using namespace products::device;

constexpr u32 kKey = 1;
constexpr u64 kValue = 77;

constexpr i64 refusal(Errc code) {
    return -static_cast<i64>(code);
}
// Errors cross as errno and ebpf_result_t; both of AccessDenied are ReadOnly's too.
bool is_denial(i64 result) {
    return result == refusal(Errc::AccessDenied) || result == refusal(Errc::ReadOnly);
}

// What map `named` has for kKey, asked through the file `file`.
i64 look_up(HANDLE file, HANDLE named) {
    u64 data = 0;
    spec::MapLookupElemAttr attr{.map_fd = number(named),
                                 .key = reinterpret_cast<u64>(&kKey),
                                 .value = reinterpret_cast<u64>(&data)};
    const i64 result = value(Device::through(number(file), Command::MapLookupElem, attr));
    return result == 0 ? static_cast<i64>(data) : result;
}

class Process {
  public:
    // This program again. It gets the end of a pipe, and inherits what can be inherited.
    explicit Process(const wchar_t* mode) {
        SECURITY_ATTRIBUTES inherited{.nLength = sizeof inherited, .bInheritHandle = TRUE};
        HANDLE theirs = nullptr;
        CreatePipe(&theirs, &pipe_, &inherited, 0);
        SetHandleInformation(pipe_, HANDLE_FLAG_INHERIT, 0);
        wchar_t self[MAX_PATH];
        GetModuleFileNameW(nullptr, self, MAX_PATH);
        std::wstring command =
            L"\"" + std::wstring(self) + L"\" " + mode + L" " + std::to_wstring(number(theirs));
        STARTUPINFOW start{.cb = sizeof start};
        CreateProcessW(nullptr, command.data(), nullptr, nullptr, TRUE, 0, nullptr, nullptr, &start,
                       &process_);
        CloseHandle(theirs);
    }
    ~Process() {
        CloseHandle(pipe_);
        CloseHandle(process_.hThread);
        CloseHandle(process_.hProcess);
    }
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    HANDLE get() const { return process_.hProcess; }
    void tell(u32 word) const {
        DWORD done = 0;
        WriteFile(pipe_, &word, sizeof word, &done, nullptr);
    }
    DWORD status() const {
        DWORD code = 0;
        WaitForSingleObject(process_.hProcess, 60'000);
        GetExitCodeProcess(process_.hProcess, &code);
        return code;
    }

  private:
    HANDLE pipe_ = nullptr;
    PROCESS_INFORMATION process_{};
};

class Handles : public DriverTest {
  protected:
    // A map with kValue; the handle is the caller's.
    HANDLE make_map() {
        const i64 map = create(*service_, spec::MapType::Hash, 4, 8, 16);
        EXPECT_GT(map, 0);
        spec::MapUpdateElemAttr attr{.map_fd = static_cast<u32>(map),
                                     .key = reinterpret_cast<u64>(&kKey),
                                     .value = reinterpret_cast<u64>(&kValue)};
        EXPECT_EQ(value((*service_)(Command::MapUpdateElem, attr)), 0);
        return service_->give_up(map);
    }
    i64 look_up(HANDLE map) { return wine::look_up(service_->file(), map); }
    // The answer about a map's handle that is closed. Wine's device controls take the lowest free
    // number for themselves, so there must be a lower one.
    i64 look_up_closed(HANDLE lower, HANDLE map) {
        CloseHandle(lower);
        return look_up(map);
    }
    u64 maps() { return service_->statistics().maps - before_.maps; }
    // The driver holds what it held. The end of a process takes its time.
    void expect_nothing_left() {
        for (int i = 0; i < 500 && service_->statistics().files != before_.files; ++i) Sleep(10);
        const Statistics after = service_->statistics();
        EXPECT_EQ(after.files, before_.files);
        EXPECT_EQ(after.maps, before_.maps);
        EXPECT_EQ(after.allocations, before_.allocations);
    }
    // The tables of objects are made with the first, and stay.
    void SetUp() override {
        DriverTest::SetUp();
        if (!service_) return;
        CloseHandle(make_map());
        before_ = service_->statistics();
    }
};

TEST_F(Handles, TheLastCloseReleasesTheObject) {
    const HANDLE lower = CreateEventW(nullptr, FALSE, FALSE, nullptr);
    const HANDLE map = make_map();
    EXPECT_EQ(maps(), 1u);
    EXPECT_EQ(look_up(map), 77);
    EXPECT_NE(CloseHandle(map), 0);
    EXPECT_EQ(look_up_closed(lower, map), refusal(Errc::InvalidFd));
    expect_nothing_left();
}

TEST_F(Handles, ADuplicateIsTheSameObject) {
    const HANDLE map = make_map();
    const HANDLE self = GetCurrentProcess();
    HANDLE again = nullptr;
    ASSERT_NE(DuplicateHandle(self, map, self, &again, 0, FALSE, DUPLICATE_SAME_ACCESS), 0);
    EXPECT_NE(CloseHandle(map), 0);
    EXPECT_EQ(maps(), 1u);
    EXPECT_EQ(look_up(again), 77);
    EXPECT_NE(CloseHandle(again), 0);
    expect_nothing_left();
}

TEST_F(Handles, ADuplicateWithLessRightsIsNoRight) {
    const HANDLE map = make_map();
    const HANDLE self = GetCurrentProcess();
    for (const DWORD access : {DWORD{SYNCHRONIZE}, DWORD{FILE_READ_DATA}, DWORD{FILE_WRITE_DATA}}) {
        HANDLE less = nullptr;
        ASSERT_NE(DuplicateHandle(self, map, self, &less, access, FALSE, 0), 0);
        EXPECT_EQ(look_up(less), refusal(Errc::InvalidArgument)) << access;
        EXPECT_LT(wine::look_up(less, map), 0) << access;  // nor is it one to ask through
        CloseHandle(less);
    }
    CloseHandle(map);
    expect_nothing_left();
}

TEST_F(Handles, AChildInheritsThem) {
    const HANDLE map = make_map();
    SetHandleInformation(map, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
    const Process child(L"--use");
    CloseHandle(map);
    EXPECT_EQ(maps(), 1u);
    child.tell(number(map));
    EXPECT_EQ(child.status(), 77u);
    expect_nothing_left();
}

TEST_F(Handles, ArePassedToAnotherProcess) {
    const Process other(L"--use");
    const HANDLE lower = CreateEventW(nullptr, FALSE, FALSE, nullptr);
    const HANDLE map = make_map();
    HANDLE theirs = nullptr;
    ASSERT_NE(DuplicateHandle(GetCurrentProcess(), map, other.get(), &theirs, 0, FALSE,
                              DUPLICATE_SAME_ACCESS | DUPLICATE_CLOSE_SOURCE),
              0);
    EXPECT_EQ(look_up_closed(lower, map), refusal(Errc::InvalidFd));
    EXPECT_EQ(maps(), 1u);
    other.tell(number(theirs));
    EXPECT_EQ(other.status(), 77u);
    expect_nothing_left();
}

TEST_F(Handles, ANumberOfAnotherProcessIsNoRight) {
    const HANDLE map = make_map();  // not inherited
    const Process child(L"--use");
    child.tell(number(map));
    EXPECT_EQ(child.status(), static_cast<DWORD>(refusal(Errc::InvalidFd)));
    CloseHandle(map);
    expect_nothing_left();
}

TEST_F(Handles, OthersAreRefused) {
    wchar_t folder[MAX_PATH];
    wchar_t name[MAX_PATH];
    GetTempPathW(MAX_PATH, folder);
    GetTempFileNameW(folder, L"wine", 0, name);
    const HANDLE event = CreateEventW(nullptr, FALSE, FALSE, nullptr);
    const HANDLE file = CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, nullptr, OPEN_EXISTING,
                                    FILE_FLAG_DELETE_ON_CLOSE, nullptr);
    const Device blank(kPath);
    const i64 stranger = refusal(Errc::InvalidArgument);
    const i64 closed = refusal(Errc::InvalidFd);
    EXPECT_EQ(look_up(event), stranger);
    EXPECT_EQ(look_up(file), stranger);
    EXPECT_EQ(look_up(blank.file()), stranger);
    EXPECT_EQ(look_up(GetCurrentProcess()), stranger);
    EXPECT_EQ(look_up(nullptr), closed);
    EXPECT_EQ(look_up(handle(0x7ff4)), closed);
    EXPECT_EQ(look_up(handle(0x80000004)), closed);  // the kernel's own look like this

    // Nor are they maps inside others, or values.
    spec::MapCreateAttr outer{.map_type = 12,
                              .key_size = 4,
                              .value_size = 4,
                              .max_entries = 2,
                              .inner_map_fd = number(event)};
    EXPECT_EQ(value((*service_)(Command::MapCreate, outer)), stranger);
    const HANDLE inner = make_map();
    outer.inner_map_fd = number(inner);
    const i64 maps_inside = value((*service_)(Command::MapCreate, outer));
    ASSERT_GT(maps_inside, 0);
    const u32 values[] = {number(event), number(inner)};
    for (const u32& held : values) {
        spec::MapUpdateElemAttr attr{.map_fd = static_cast<u32>(maps_inside),
                                     .key = reinterpret_cast<u64>(&kKey),
                                     .value = reinterpret_cast<u64>(&held)};
        EXPECT_EQ(value((*service_)(Command::MapUpdateElem, attr)), &held == values ? stranger : 0);
    }
    CloseHandle(inner);
    EXPECT_EQ(maps(), 2u);  // the map inside lives on
    CloseHandle(service_->give_up(maps_inside));
    for (const HANDLE other : {event, file}) CloseHandle(other);
}

TEST_F(Handles, ThroughAnObjectsFileGoesWhatIsForItsHolder) {
    const HANDLE map = make_map();
    EXPECT_EQ(wine::look_up(map, map), 77);
    spec::MapCreateAttr hash{.map_type = 1, .key_size = 4, .value_size = 8, .max_entries = 4};
    EXPECT_TRUE(is_denial(value(Device::through(number(map), Command::MapCreate, hash))));
    spec::MapGetNextIdAttr next{};
    EXPECT_TRUE(is_denial(value(Device::through(number(map), Command::MapGetNextId, next))));
    // The driver's own numbers are not for clients.
    spec::HandleCloseAttr close{.fd = number(map)};
    EXPECT_LT(value(Device::through(number(map), Command::HandleClose, close)), 0);
    EXPECT_EQ(look_up(map), 77);
    CloseHandle(map);
    expect_nothing_left();
}

TEST_F(Handles, NoneIsLeft) {
    DWORD handles = 0;
    GetProcessHandleCount(GetCurrentProcess(), &handles);
    for (int i = 0; i < 200; ++i) {
        const HANDLE map = make_map();
        ASSERT_EQ(look_up(map), 77);
        CloseHandle(map);
        const i64 ring = create(*service_, spec::MapType::Ringbuf, 0, 0, 65536);
        spec::RingMapAttr view{.map_fd = static_cast<u32>(ring)};
        ASSERT_EQ(value((*service_)(Command::RingMap, view)), 0);
        CloseHandle(service_->give_up(ring));
        // What fails leaves nothing either.
        ASSERT_LT(create(*service_, spec::MapType::Hash, 0, 8, 4), 0);
    }
    DWORD after = 0;
    GetProcessHandleCount(GetCurrentProcess(), &after);
    EXPECT_EQ(after, handles);
    expect_nothing_left();
}

TEST_F(Handles, AKilledProcessReleasesWhatItHeldAndNothingElse) {
    const HANDLE map = make_map();
    before_ = service_->statistics();
    SetHandleInformation(map, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
    const Process child(L"--hold-and-die");
    EXPECT_EQ(child.status(), 42u);  // it held what it should
    expect_nothing_left();
    EXPECT_EQ(look_up(map), 77);
    CloseHandle(map);
}

// Dies with everything open.
int hold_and_die() {
    Device device(kPath);
    spec::MapCreateAttr hash{.map_type = 1, .key_size = 4, .value_size = 8, .max_entries = 4};
    spec::MapCreateAttr ring{.map_type = 27, .max_entries = 65536};
    bool held = device.is_open();
    for (int i = 0; i < 5; ++i) held = held && value(device(Command::MapCreate, hash)) > 0;
    const i64 fd = value(device(Command::MapCreate, ring));
    spec::RingMapAttr view{.map_fd = static_cast<u32>(fd)};
    held = held && value(device(Command::RingMap, view)) == 0;
    TerminateProcess(GetCurrentProcess(), held ? 42 : 1);
    return 1;
}

// Is told a map's handle, which it has or has not, and looks into it with nothing else. It leaves
// by the value.
int use(HANDLE pipe) {
    u32 told = 0;
    DWORD used = 0;
    ReadFile(pipe, &told, sizeof told, &used, nullptr);
    Device device(kPath);
    const i64 seen = look_up(device.file(), handle(told));
    if (seen < 0 || look_up(handle(told), handle(told)) == seen) return static_cast<int>(seen);
    return 1;
}

}  // namespace
}  // namespace ebpf::wine

int main(int argc, char** argv) {
    using namespace ebpf::wine;
    if (argc > 2 && std::strcmp(argv[1], "--use") == 0) return use(handle(std::atoi(argv[2])));
    if (argc > 1 && std::strcmp(argv[1], "--hold-and-die") == 0) return hold_and_die();
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
