// SPDX-License-Identifier: MIT
#include "engine/environment.hpp"

#include "ir/kernel_arguments.hpp"
#include "spec/program_types.hpp"
#include "spec/sections.hpp"

namespace ebpf::engine {

namespace {

// What stands behind the attach type in the section's name.
std::string_view target_of(const ir::Program& program) {
    const auto rule = spec::find_section(program.dialect, program.section);
    return rule ? spec::section_extras(**rule, program.section) : std::string_view{};
}

}  // namespace

Result<ir::Environment> environment_of(const ir::Program& program, const btf::Types* kernel_types) {
    const spec::ProgramTypeInfo* type = spec::program_info(program.dialect, program.type);
    if (!type) {
        return fail(Errc::Unsupported, {}, "program type in this dialect",
                    static_cast<u64>(program.type));
    }
    ir::Environment environment{.type = type, .kernel_types = kernel_types};
    const std::string_view target = target_of(program);
    if (kernel_types != nullptr && type->typed_arguments() && !target.empty()) {
        auto arguments = ir::kernel_arguments(*kernel_types, program.attach, target);
        if (!arguments) {
            return fail(Errc::Unsupported, arguments.error().where,
                        "the function that the program is for, which this kernel lacks");
        }
        environment.arguments = std::move(*arguments);
    }
    return environment;
}

}  // namespace ebpf::engine
