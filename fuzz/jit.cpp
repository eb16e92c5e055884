// SPDX-License-Identifier: MIT
// Any program that decodes: the JIT compiles it to valid code or says why not. Nothing is run.
#include <cstdlib>

#include "jit/jit.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace ebpf;
    const Bytes slots = std::as_bytes(std::span(data, size - size % sizeof(isa::Slot)));
    Result<ir::Program> program = ir::decode_program(slots);
    if (!program) return 0;
    program->maps.resize(4);
    for (const auto convention :
         {jit::CallingConvention::SystemV, jit::CallingConvention::WindowsX64}) {
        for (const bool bmi2 : {false, true}) {
            for (const auto level : {jit::Level::Default, jit::Level::Optimise}) {
                const auto output =
                    jit::compile(*program, {},
                                 {.cpu = code::Cpu::X86_64, .convention = convention, .bmi2 = bmi2},
                                 {.level = level});
                if (output && !code::validate(output->view(0))) std::abort();
            }
        }
    }
    return 0;
}
