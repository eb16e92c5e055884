// SPDX-License-Identifier: MIT
// Compile jobs and outcomes as bytes, and what is checked of them.
#include "engine/job.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "engine/object.hpp"
#include "isa/codec.hpp"

namespace fs = std::filesystem;
using namespace ebpf;
using namespace ebpf::engine;

namespace {

std::vector<fs::path> objects() {
    const char* shared = std::getenv("CASEMENT_SHARED");
    std::vector<fs::path> found;
    for (const fs::path& folder :
         {fs::path(CASEMENT_TEST_OBJECTS),
          fs::path(shared != nullptr ? shared : CASEMENT_SHARED_DIR) / "corpus"}) {
        std::error_code none;
        for (const auto& entry : fs::recursive_directory_iterator(folder, none)) {
            if (entry.path().extension() == ".o") found.push_back(entry.path());
        }
    }
    return found;
}

std::vector<std::byte> read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    const Bytes bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

isa::Slot slot(isa::Insn insn) {
    isa::Slot out[2];
    EXPECT_TRUE(isa::encode(insn, out));
    return out[0];
}

// r0 = 2; exit
CompileJob small_job() {
    const isa::Slot slots[] = {
        slot({.form = isa::Form::AluImm, .kind = static_cast<u8>(isa::AluOp::Mov), .imm = 2}),
        slot({.form = isa::Form::Exit})};
    const Bytes bytes = std::as_bytes(std::span(slots));
    CompileJob job{.name = "small",
                   .license = "GPL",
                   .type = spec::ProgramType::Xdp,
                   .slots = {bytes.begin(), bytes.end()}};
    job.options.engine = code::EngineKind::Interpreter;
    return job;
}

}  // namespace

// Every program of every object that is here: the bytes say everything, and the compiled code is
// that of the program itself.
TEST(Job, EveryObjectGoesThroughBytesUnchanged) {
    u32 programs = 0;
    u32 compared = 0;
    for (const fs::path& path : objects()) {
        const auto object = read_object(read(path), {.name = path.filename()});
        if (!object) continue;  // damaged or ambiguous ones are other tests' matter
        for (const ObjectProgram& entry : object->programs) {
            if (!entry.program) continue;
            auto job = job_of(*entry.program);
            ASSERT_TRUE(job) << path << " " << entry.name;
            job->type = entry.type;
            job->attach = entry.attach;
            job->options.engine = code::EngineKind::Interpreter;
            job->log_level = kLogReport;
            ++programs;
            const auto bytes = encode(*job);
            const auto again = decode_job(bytes);
            ASSERT_TRUE(again) << path << " " << entry.name;
            EXPECT_EQ(encode(*again), bytes) << path << " " << entry.name;

            const auto program = program_of(*again);
            ASSERT_TRUE(program) << path << " " << entry.name << ": "
                                 << message(program.error().code);
            EXPECT_EQ(program->insns, entry.program->insns) << path << " " << entry.name;
            EXPECT_EQ(program->target, entry.program->target) << path << " " << entry.name;
            EXPECT_EQ(program->subprograms.size(), entry.program->subprograms.size());
            EXPECT_EQ(program->lines.size(), entry.program->lines.size());
            if (entry.program->insns.size() > 500) continue;  // time
            ++compared;
            const CompileOutcome one = compile_job(*job), other = compile_job(*again);
            EXPECT_EQ(one.error.code, other.error.code) << path << " " << entry.name;
            EXPECT_EQ(one.log, other.log) << path << " " << entry.name;
            EXPECT_EQ(one.code.text, other.code.text) << path << " " << entry.name;
            EXPECT_TRUE(check_outcome(*job, one)) << path << " " << entry.name;
            const auto outcome_bytes = encode(one);
            const auto outcome = decode_outcome(outcome_bytes);
            ASSERT_TRUE(outcome) << path << " " << entry.name;
            EXPECT_EQ(encode(*outcome), outcome_bytes);
        }
    }
    std::printf("%u programs, %u of them compiled\n", programs, compared);
    EXPECT_GT(compared, 10u);
}

TEST(Job, AcceptedProgramComesOutAsCode) {
    const CompileJob job = small_job();
    const CompileOutcome outcome = compile_job(job);
    EXPECT_EQ(outcome.error.code, Errc::Ok) << outcome.log;
    EXPECT_FALSE(outcome.code.text.empty());
    EXPECT_TRUE(check_outcome(job, outcome));
}

TEST(Job, RejectedProgramSaysWhy) {
    CompileJob job = small_job();
    job.slots.erase(job.slots.begin(), job.slots.begin() + 8);  // r0 is never written
    const CompileOutcome outcome = compile_job(job);
    EXPECT_EQ(outcome.error.code, Errc::VerificationFailed);
    EXPECT_NE(outcome.log.find("r0"), std::string::npos) << outcome.log;
    EXPECT_TRUE(outcome.code.text.empty());
}

// Cutting the bytes anywhere is an error, and so is anything behind them.
TEST(Job, CutOrLongerBytesAreRefused) {
    const auto job = encode(small_job());
    for (size_t size = 0; size < job.size(); ++size)
        EXPECT_FALSE(decode_job(Bytes(job).first(size))) << size;
    auto longer = job;
    longer.emplace_back();
    EXPECT_FALSE(decode_job(longer));
    const auto outcome = encode(compile_job(small_job()));
    for (size_t size = 0; size < outcome.size(); ++size)
        EXPECT_FALSE(decode_outcome(Bytes(outcome).first(size))) << size;
}

TEST(Job, DamagedBytesAreRefusedOrHarmless) {
    std::mt19937 random(7);
    const auto job = encode(small_job());
    const auto outcome = encode(compile_job(small_job()));
    u32 refused = 0;
    for (int round = 0; round < 20'000; ++round) {
        auto damaged = round % 2 ? job : outcome;
        for (u32 n = random() % 3 + 1; n > 0; --n)
            damaged[random() % damaged.size()] ^= static_cast<std::byte>(1u << random() % 8);
        if (round % 2) {
            const auto decoded = decode_job(damaged);
            if (!decoded)
                ++refused;
            else
                (void)program_of(*decoded);
        } else {
            const auto decoded = decode_outcome(damaged);
            if (!decoded || !check_outcome(small_job(), *decoded)) ++refused;
        }
    }
    EXPECT_GT(refused, 1000u);
}

TEST(Job, WhatCannotBeIsRefused) {
    const auto refuses = [](auto change, Errc code) {
        CompileJob job = small_job();
        job.maps.push_back({.name = "m",
                            .type = spec::MapType::Array,
                            .key_size = 4,
                            .value_size = 8,
                            .max_entries = 1});
        change(job);
        const auto program = program_of(job);
        ASSERT_FALSE(program);
        EXPECT_EQ(program.error().code, code);
    };
    refuses([](CompileJob& job) { job.maps[0].inner = 1; }, Errc::OutOfBounds);
    refuses([](CompileJob& job) { job.maps[0].inner = -2; }, Errc::OutOfBounds);
    refuses([](CompileJob& job) { job.maps[0].initial.resize(7); }, Errc::BadFormat);
    refuses([](CompileJob& job) { job.maps[0].spin_lock_offset = 5; }, Errc::OutOfBounds);
    refuses([](CompileJob& job) { job.maps[0].timer_offset = 0; }, Errc::OutOfBounds);
    refuses([](CompileJob& job) { job.lines.push_back({.insn = 0, .file = 0}); }, Errc::BadFormat);
    refuses(
        [](CompileJob& job) {
            job.files.emplace_back("a.c");
            job.lines.push_back({.insn = 1});
            job.lines.push_back({.insn = 0});
        },
        Errc::BadFormat);
    refuses([](CompileJob& job) { job.subprograms.push_back({.begin = 2}); }, Errc::OutOfBounds);
    refuses([](CompileJob& job) { job.slots.pop_back(); }, Errc::Truncated);
    for (const isa::WideKind kind : {isa::WideKind::MapIndex, isa::WideKind::MapFd}) {
        refuses(
            [kind](CompileJob& job) {
                isa::Slot wide[2];
                ASSERT_TRUE(isa::encode(
                    {.form = isa::Form::Wide, .kind = static_cast<u8>(kind), .dst = 1, .imm = 1},
                    wide));
                const Bytes bytes = std::as_bytes(std::span(wide));
                job.slots.insert(job.slots.begin(), bytes.begin(), bytes.end());
            },
            kind == isa::WideKind::MapIndex ? Errc::OutOfBounds : Errc::BadFormat);
    }
}

// The door never asks for a program without a proof, and nobody can through a job.
TEST(Job, NoProofNoCode) {
    CompileJob job = small_job();
    job.options.trusted = true;
    EXPECT_EQ(compile_job(job).error.code, Errc::InvalidArgument);
}

TEST(Job, OutcomeMustFitTheJob) {
    const CompileJob job = small_job();
    const auto refuses = [&job](auto change) {
        CompileOutcome outcome = compile_job(job);
        change(outcome);
        EXPECT_FALSE(check_outcome(job, outcome));
    };
    refuses([](CompileOutcome& o) { o.code.engine = code::EngineKind::Jit; });
    refuses([](CompileOutcome& o) { o.code.engine = code::EngineKind::Native; });
    refuses([](CompileOutcome& o) { o.code.cpu = code::Cpu::X86_64; });
    refuses([](CompileOutcome& o) { o.code.map_count = 1; });
    refuses([](CompileOutcome& o) { o.code.entry = 4096; });
    refuses([](CompileOutcome& o) { o.code.text.clear(); });
    refuses([](CompileOutcome& o) {
        o.code.relocations.push_back({.offset = 8, .kind = code::RelocKind::Map64, .index = 0});
    });
}

namespace {

// Type information with one function "named" and strings for a line.
std::vector<std::byte> type_information() {
    const std::string strings("\0int\0named\0a.c\0  return 2;\0", 27);
    const u32 types[] = {
        1, 1u << 24,  4, 0x20,  // 1: int
        0, 13u << 24, 1,        // 2: int (*)(void)
        5, 12u << 24, 2,        // 3: func named
    };
    std::vector<std::byte> out(24);
    const u32 header[] = {0x0001eb9f,   24,           0,
                          sizeof types, sizeof types, static_cast<u32>(strings.size())};
    std::memcpy(out.data(), header, sizeof header);
    const Bytes t = std::as_bytes(std::span(types));
    out.insert(out.end(), t.begin(), t.end());
    const Bytes s = std::as_bytes(std::span(strings));
    out.insert(out.end(), s.begin(), s.end());
    return out;
}

template <size_t N>
std::vector<std::byte> records(const u32 (&words)[N]) {
    const Bytes bytes = std::as_bytes(std::span(words));
    return {bytes.begin(), bytes.end()};
}

}  // namespace

// Names and lines from the records that BPF_PROG_LOAD brings.
TEST(Job, SourceFromTypeInformation) {
    CompileJob job = small_job();
    job.btf = {.types = type_information(),
               .func_info = records({0, 3}),
               .line_info = records({0, 11, 15, 7u << 10 | 3}),
               .func_info_rec_size = 8,
               .line_info_rec_size = 16};
    const auto program = program_of(job);
    ASSERT_TRUE(program) << message(program.error().code);
    EXPECT_EQ(program->subprograms[0].name, "named");
    ASSERT_EQ(program->lines.size(), 1u);
    EXPECT_EQ(program->lines[0].line, 7u);
    EXPECT_EQ(program->lines[0].text, "  return 2;");
    EXPECT_EQ(program->files.at(program->lines[0].file), "a.c");

    const auto refuses = [&job](auto change) {
        CompileJob bad = job;
        change(bad.btf);
        EXPECT_FALSE(program_of(bad));
    };
    refuses([](ProgramBtf& b) { b.types.resize(30); });
    refuses([](ProgramBtf& b) { b.func_info_rec_size = 4; });
    refuses([](ProgramBtf& b) { b.line_info_rec_size = 18; });
    refuses([](ProgramBtf& b) { b.line_info_rec_size = 256; });
    refuses([](ProgramBtf& b) { b.func_info = records({0, 1}); });           // no function
    refuses([](ProgramBtf& b) { b.func_info = records({0, 99}); });          // no type
    refuses([](ProgramBtf& b) { b.func_info = records({2, 3}); });           // past the end
    refuses([](ProgramBtf& b) { b.func_info = records({0, 3, 0, 3}); });     // twice
    refuses([](ProgramBtf& b) { b.line_info = records({0, 900, 15, 0}); });  // no string
    refuses([](ProgramBtf& b) { b.line_info = records({0, 11, 15}); });
}
