// SPDX-License-Identifier: MIT
#include "engine.hpp"

#include "isa/codec.hpp"
#include "isa/text/text.hpp"

namespace ebpf::engines {
namespace {

std::vector<std::unique_ptr<Engine>>& registry() {
    static std::vector<std::unique_ptr<Engine>> kEngines;
    return kEngines;
}

Result<u64> resolve(void* self, code::RelocKind kind, u32 index, u32) {
    const auto& helpers = *static_cast<const Helpers*>(self);
    const auto found = helpers.find(index & ~code::kCustomHelper);
    if (kind != code::RelocKind::Helper64 || found == helpers.end()) {
        return fail(Errc::UnresolvedSymbol, {}, "helper", index);
    }
    return reinterpret_cast<u64>(found->second);
}

std::string text_of(const Error& error) {
    char buffer[256];
    render(error, buffer);
    return buffer;
}

}  // namespace

bool register_engine(std::unique_ptr<Engine> engine) {
    registry().push_back(std::move(engine));
    return true;
}

std::vector<Engine*> all_engines() {
    std::vector<Engine*> all;
    for (const auto& engine : registry()) all.push_back(engine.get());
    return all;
}

code::Resolver resolver_of(const Helpers& helpers) {
    return {const_cast<Helpers*>(&helpers), resolve};
}

std::vector<std::byte> EngineTest::assemble(std::string_view text) {
    const auto slots = isa::text::assemble(text, isa::text::Dialect::Llvm);
    if (!slots) ADD_FAILURE() << text_of(slots.error()) << " of\n" << text;
    return slots.value_or(std::vector<std::byte>{});
}

std::vector<std::byte> EngineTest::encode(const std::vector<isa::Insn>& insns) {
    std::vector<std::byte> slots;
    for (const isa::Insn& insn : insns) {
        isa::Slot raw[2];
        EXPECT_TRUE(isa::encode(insn, raw)) << isa::text::print(insn, isa::text::Dialect::Llvm);
        const Bytes bytes = std::as_bytes(std::span(raw));
        slots.insert(slots.end(), bytes.begin(), bytes.begin() + 8 * insn.slots());
    }
    return slots;
}

u64 EngineTest::run(Bytes slots, MutableBytes memory, const Helpers& helpers) {
    const Result<u64> r0 = GetParam()->run(slots, memory, helpers);
    if (r0) return *r0;
    if (r0.error() == Errc::Unsupported) {
        unsupported_ = true;
        [&] { GTEST_SKIP() << GetParam()->name() << ": " << text_of(r0.error()); }();
        return 0;
    }
    ADD_FAILURE() << text_of(r0.error()) << " of\n"
                  << isa::text::disassemble(slots, isa::text::Dialect::Llvm).value_or("");
    return 0;
}

}  // namespace ebpf::engines
