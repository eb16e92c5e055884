#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each lint finds the violation that is planted for it, and nothing in the same tree without it."""
import pathlib
import sys
import tempfile
import types
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "lint"))
import rules  # noqa: E402
import tools  # noqa: E402
from project import Project, code_only  # noqa: E402

SPDX = "// SPDX-License-Identifier: MIT\n"
CLEAN = {
    "ARCHITECTURE.md": "| `base/` [K] | results | – |\n"
                       "| `platform/` [K] | the system; not yet | base |\n"
                       "| `isa/` [K] | instructions | base |\n"
                       "| `btf/` [K reader; the rest in user mode] | types, not yet | base |\n"
                       "| `verifier/` | analysis | base, isa |\n"
                       "| `engine/` | the pipeline | all above but platform |\n",
    "src/base/CMakeLists.txt": "casement_module(base KERNEL SOURCES base.cpp)\n",
    "src/base/base.hpp": SPDX + "#include <new>\ninline void* at(void* p) {\n    return new (p) int;\n}\n",
    "src/base/base.cpp": SPDX + '\n#include "base/base.hpp"\n// may throw, said a comment: #include <string>\n',
    "src/isa/CMakeLists.txt": "casement_module(isa KERNEL SOURCES isa.cpp)\n",
    "src/isa/isa.cpp": SPDX + '\n#include "base/base.hpp"\nint alu(int opcode) { return opcode == 0x07; }\n',
    "src/verifier/verifier.cpp": SPDX + '#include <string>\n#include "isa/isa.hpp"\n',
    "src/engine/engine.cpp": SPDX + '#include "verifier/verifier.hpp"\n',
    "include/casement/vm.h": SPDX + "#ifndef CASEMENT_VM_H\n#define CASEMENT_VM_H\nint vm(void);\n#endif\n",
    "README.md": "See `src/base/base.hpp`, `src/{isa,engine}/*.cpp` and [this](ARCHITECTURE.md).\n",
}


class LintTest(unittest.TestCase):
    def findings(self, rule, planted=None):
        """What the rule finds in the clean tree with the planted files (None removes one)."""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in {**CLEAN, **(planted or {})}.items():
                if text is not None:
                    path = pathlib.Path(folder, name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(text, encoding="utf-8")
            project = Project(folder)
            if rule in tools.TOOL_RULES:
                options = types.SimpleNamespace(fix=False, full=False, build=None)
                return list(rule(project, options))
            return list(rule(project))

    def check(self, rule, name, text, line=None):
        self.assertEqual(self.findings(rule), [], "the clean tree")
        found = self.findings(rule, {name: text})
        self.assertTrue(found, f"{rule.__name__} missed {text!r}")
        self.assertEqual(found[0].path, name)
        if line:
            self.assertEqual(found[0].line, line)

    def test_upward_include(self):
        self.check(rules.layers, "src/isa/isa.cpp", SPDX + '#include "verifier/verifier.hpp"\n', 2)

    def test_include_of_the_excepted_folder(self):
        self.check(rules.layers, "src/engine/engine.cpp", SPDX + '\n#include "platform/memory.hpp"\n', 3)

    def test_relative_include(self):
        self.check(rules.layers, "src/isa/isa.cpp", SPDX + '#include "../base/base.hpp"\n', 2)

    def test_folder_without_a_row(self):
        self.check(rules.layers, "src/utils/a.cpp", SPDX)

    def test_kernel_words(self):
        for text in ("#include <string>", "#include <vector>", "#include <functional>", "int f() { throw 1; }",
                     "thread_local int x;", "auto* p = dynamic_cast<A*>(q);", "auto& t = typeid(int);",
                     "int* p = new int;", "void f(int* p) { delete p; }", "void f() { try { g(); } catch (...) {} }"):
            self.check(rules.kernel_subset, "src/base/base.cpp", f"{SPDX}{text}\n", 2)

    def test_kernel_words_in_an_included_header(self):
        self.check(rules.kernel_subset, "src/base/base.hpp", SPDX + "#include <map>\n", 2)

    def test_kernel_folder_with_a_file_that_the_kernel_build_lacks(self):
        self.check(rules.kernel_subset, "src/base/extra.cpp", SPDX)

    def test_kernel_part_without_a_module(self):
        found = self.findings(rules.kernel_subset, {
            "src/btf/CMakeLists.txt": "casement_module(btf SOURCES btf.cpp)\n", "src/btf/btf.cpp": SPDX})
        self.assertEqual([f.path for f in found], ["src/btf/CMakeLists.txt"])

    def test_system_macro(self):
        self.check(rules.systems, "src/engine/engine.cpp", SPDX + "#ifdef _WIN32\n#endif\n", 2)
        self.check(rules.systems, "src/engine/engine.cpp", SPDX + "#if defined(__linux__)\n#endif\n", 2)

    def test_system_header(self):
        self.check(rules.systems, "src/engine/engine.cpp", SPDX + "#include <sys/mman.h>\n", 2)

    def test_system_in_platform_is_fine(self):
        self.assertEqual(self.findings(rules.systems, {"src/platform/a.cpp": SPDX + "#ifdef _WIN32\n#endif\n"}), [])

    def test_errno(self):
        self.check(rules.errno_owner, "src/engine/engine.cpp", SPDX + "void f() { errno = 22; }\n", 2)

    def test_cpu(self):
        for text in ("#ifdef __x86_64__\n#endif", "#include <immintrin.h>", "void f() { _mm_pause(); }"):
            self.check(rules.cpus, "src/engine/engine.cpp", f"{SPDX}{text}\n", 2)

    def test_opcode_byte(self):
        for text in ("bool f(int opcode) { return opcode == 0x95; }", "int x = BPF_ALU64;",
                     "void f(I i) { switch (i.opcode) {} }"):
            self.check(rules.opcodes, "src/verifier/verifier.cpp", f"{SPDX}{text}\n", 2)

    def test_pure(self):
        for text in ("#include <fstream>", 'void f() { printf("x"); }', "static int counter = 0;"):
            self.check(rules.pure, "src/verifier/verifier.cpp", f"{SPDX}{text}\n", 2)

    def test_constants_are_not_globals(self):
        self.assertEqual(self.findings(rules.pure, {
            "src/verifier/verifier.cpp": SPDX + "static constexpr int kOne = 1;\ninline constexpr int kTwo{2};\n"
                                                "static int helper(int x);\n"}), [])

    def test_marker(self):
        self.check(rules.habits, "src/isa/isa.cpp", SPDX + "// TO" + "DO: finish\n", 2)

    def test_machine_path(self):
        self.check(rules.habits, "README.md", "\ncd /ho" + "me/somebody/x\n", 2)

    def test_licence_line(self):
        self.check(rules.habits, "src/isa/isa.cpp", "int x;\n", 1)

    def test_long_file_and_function_are_warnings(self):
        found = self.findings(rules.sizes, {"src/isa/isa.cpp": SPDX + "int f() {\n" + "    g();\n" * 600 + "}\n"})
        self.assertEqual(len(found), 2)
        self.assertTrue(all(f.warning for f in found))

    def test_path_in_a_document(self):
        self.check(rules.docs, "README.md", "\nsee `src/nowhere/x.cpp`\n", 2)
        self.check(rules.docs, "README.md", "\nsee `src/{isa,nowhere}/*.cpp`\n", 2)
        self.check(rules.docs, "README.md", "\n[text](docs/none.md)\n", 2)

    def test_format(self):
        if not tools.shutil.which("clang-format-19"):
            self.skipTest("no clang-format-19")
        style = {".clang-format": (ROOT / ".clang-format").read_text(encoding="utf-8")}
        bad = {**style, "src/isa/isa.cpp": SPDX + "int   f( ){return 1 ;}\n"}
        self.assertEqual([f.path for f in self.findings(tools.format, bad)], ["src/isa/isa.cpp"])

    def test_public_header(self):
        self.check(tools.public_headers, "include/casement/vm.h", SPDX + "bool vm(void);\n", 1)
        self.check(tools.public_headers, "include/casement/vm.h", SPDX + "int vm(int class);\n", 1)

    def test_comments_and_strings_are_not_code(self):
        self.assertNotIn("throw", code_only('int a; // throw\n/* throw\n throw */ auto s = "throw";\n'))
        self.assertEqual(code_only("a /* \n\n */ b").count("\n"), 2)

    def test_the_project_has_its_table(self):
        folders = Project(ROOT).folders
        self.assertIn("base", folders["verifier"].may_include)
        self.assertNotIn("runtime", folders["engine"].may_include)
        self.assertTrue(folders["btf"].kernel_part and folders["runtime"].kernel)


if __name__ == "__main__":
    unittest.main(verbosity=2)
