// SPDX-License-Identifier: MIT
//
// Pointers to structures of the kernel, whose types say what may be read. As on Linux such a read
// never faults (it gives 0 where there is no memory), so it needs no test for null; writing is not
// possible.
#include "btf/access.hpp"
#include "spec/helpers.hpp"
#include "verifier/analyzer.hpp"

namespace ebpf::verifier {

namespace {

std::string structure_name(const btf::Types& types, u32 id) {
    const auto type = types->type(id);
    const auto name = type ? types->name(*type) : Result<std::string_view>("");
    return name && !name->empty() ? "struct " + std::string(*name)
                                  : "the structure of type " + std::to_string(id);
}

// "path" of "struct path *path"; empty for what is no pointer to a structure.
std::string_view structure_of_declaration(std::string_view text) {
    constexpr std::string_view kStruct = "struct ";
    while (text.starts_with(' ')) text.remove_prefix(1);
    if (text.starts_with("const ")) text.remove_prefix(6);
    if (!text.starts_with(kStruct)) return {};
    text.remove_prefix(kStruct.size());
    return text.substr(0, text.find_first_of(" *"));
}

// The structure that a helper's declaration gives to its parameter `n`.
std::string_view structure_of_parameter(const spec::HelperInfo& helper, int n) {
    std::string_view rest = helper.c_parameters;
    for (; n > 0; --n) {
        const std::size_t comma = rest.find(',');
        if (comma == std::string_view::npos) return {};
        rest.remove_prefix(comma + 1);
    }
    return structure_of_declaration(rest.substr(0, rest.find(',')));
}

}  // namespace

Reg Analyzer::typed_pointer(u32 structure) {
    if (structure == 0) return unknown(8);
    Reg pointer = Reg::pointer(Kind::Typed);
    pointer.index = structure;
    pointer.nullable = true;
    pointer.id = fresh_id();
    return pointer;
}

bool Analyzer::check_typed_access(const std::string& what, const Reg& base, i64 at, u64 size,
                                  Access access) {
    const btf::Types& types = *environment_.kernel_types;
    if (access != Access::Read) {
        return reject(DiagnosticCode::BadAddress, what + " points into " +
                                                      structure_name(types, base.index) +
                                                      " of the kernel, which can only be read");
    }
    if (at >= 0 && btf::loaded_structure(types.view(), base.index, static_cast<u64>(at), size))
        return true;
    return reject(DiagnosticCode::BadAddress,
                  "bytes " + std::to_string(at) + " to " +
                      std::to_string(at + static_cast<i64>(size) - 1) + " of " +
                      structure_name(types, base.index) + " are no field that may be read at once",
                  {"read a whole pointer, or bytes of one member; for anything else copy it with "
                   "bpf_probe_read_kernel()"});
}

Reg Analyzer::load_typed(const Reg& base, i64 at, int size) {
    const auto structure = btf::loaded_structure(environment_.kernel_types->view(), base.index,
                                                 static_cast<u64>(at), static_cast<u64>(size));
    return structure && *structure != 0 ? typed_pointer(*structure) : unknown(size);
}

// An argument of the function that the program is attached to.
bool Analyzer::load_argument(const isa::Insn& i, const Reg& base, Reg& out) {
    const ir::KernelArguments& arguments = *environment_.arguments;
    const int size = isa::bytes(i.width);
    const i64 at = i64{base.off} + i.off;
    const u64 slot = static_cast<u64>(at) / 8;
    if (at < 0 || slot >= arguments.size()) {
        return reject(DiagnosticCode::ContextBounds,
                      "bytes " + std::to_string(at) + " to " + std::to_string(at + size - 1) +
                          " of the context are no argument: the function has " +
                          std::to_string(arguments.size()) + ", 8 bytes each");
    }
    if (at % size != 0 || (arguments[slot] != 0 && size != 8)) {
        return reject(DiagnosticCode::ContextAccess,
                      "argument " + std::to_string(slot + 1) + " must be accessed whole");
    }
    out = size == 8 ? typed_pointer(arguments[slot]) : unknown(size);
    return true;
}

bool Analyzer::is_typed(const Reg& value, std::string_view structure) const {
    return value.kind == Kind::Typed && value.off == 0 && !structure.empty() &&
           btf::begins_with(environment_.kernel_types->view(), value.index, structure);
}

bool Analyzer::check_typed_argument(const CallSite& site, int n) {
    const std::string_view wanted = structure_of_parameter(spec::info(site.proto->id), n);
    if (environment_.kernel_types == nullptr || wanted.empty())
        return unsupported(std::string("the helper ") + site.proto->name);
    const Reg& value = reg(static_cast<isa::Reg>(n + 1));
    if (is_typed(value, wanted)) return true;
    return reject(
        DiagnosticCode::HelperArgument,
        argument_name(n) + " of " + site.proto->name + " must be a pointer to struct " +
            std::string(wanted) + ", but it is " + name(value.kind) + ": " +
            (value.kind == Kind::Typed ? structure_name(*environment_.kernel_types, value.index)
                                       : to_string(value)));
}

bool Analyzer::typed_result(const CallSite& site, Reg& result) {
    const btf::Types* const types = environment_.kernel_types;
    const std::string_view wanted = structure_of_declaration(spec::info(site.proto->id).c_result);
    if (types == nullptr || wanted.empty())
        return unsupported(std::string("the helper ") + site.proto->name);
    const auto type = types->find(btf::Kind::Struct, wanted);
    if (!type) return unsupported("struct " + std::string(wanted) + ", which the kernel lacks,");
    result = typed_pointer(type->id);
    return true;
}

}  // namespace ebpf::verifier
