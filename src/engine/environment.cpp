// SPDX-License-Identifier: MIT
#include "engine/environment.hpp"

#include "spec/program_types.hpp"

namespace ebpf::engine {

Result<ir::Environment> environment_of(const ir::Program& program) {
    const spec::ProgramTypeInfo* type = spec::program_info(program.dialect, program.type);
    if (!type) {
        return fail(Errc::Unsupported, {}, "program type in this dialect",
                    static_cast<u64>(program.type));
    }
    return ir::Environment{.type = type};
}

}  // namespace ebpf::engine
