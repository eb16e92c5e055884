// SPDX-License-Identifier: MIT
#include "runtime/commands.hpp"

#include "runtime/command_context.hpp"

namespace ebpf::runtime {
namespace {

// Who an operator is, whoever serves several users knows.
enum class Access : u8 { Any, Operator, Privileged };

template <typename Attr>
Result<i64> run_command(CommandContext& c, void* attr, const char* name) {
    if constexpr (requires(Attr& a) { handle(c, a); }) {
        return handle(c, *static_cast<Attr*>(attr));
    } else {
        return fail(Errc::NotSupported, {}, name);
    }
}

}  // namespace

Result<i64> dispatch(Runtime& runtime, const spec::Caller& caller, spec::Command command,
                     void* attr) {
    CommandContext c{runtime, *static_cast<Session*>(caller.session), caller.dialect, caller};
    switch (command) {
#define COMMAND(id, number, name, access)                                 \
    case spec::Command::id:                                               \
        if (Access::access == Access::Privileged && !caller.privileged) { \
            return fail(Errc::AccessDenied, {}, name);                    \
        }                                                                 \
        return run_command<spec::id##Attr>(c, attr, name);
#define FIELD(type, name, kind, ...)
#define END_COMMAND(id)
#include "spec/commands.def"
    }
    return fail(Errc::InvalidArgument, {}, "command", static_cast<u32>(command));
}

Status check_name(const spec::ObjectName& name) {
    bool ended = false;
    for (const char c : name) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                            (c >= '0' && c <= '9') || c == '_' || c == '.';
        if (c == '\0') {
            ended = true;
        } else if (ended || !letter) {
            return fail(Errc::InvalidArgument, {}, "name", static_cast<u8>(c));
        }
    }
    return ended ? Status{} : fail(Errc::InvalidArgument, {}, "name without an end");
}

}  // namespace ebpf::runtime
