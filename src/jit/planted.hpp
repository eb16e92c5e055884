// SPDX-License-Identifier: MIT
//
// Miscompilations on demand, in builds with CASEMENT_PLANTED only (tests/engines, test_planted):
// what shows that differential testing would find such a mistake. Elsewhere PLANTED(x) is false and
// leaves nothing behind.
#pragma once

#include "base/types.hpp"

#define CASEMENT_PLANTED_LIST(X) \
    X(Add32Is64)                 \
    X(ShiftCountIsOneMore)       \
    X(ShiftCountIsNotMasked)     \
    X(Mod32KeepsUpperHalf)       \
    X(DivByZeroKeepsDividend)    \
    X(SignedDivByMinusOne)       \
    X(MagicShift)                \
    X(SignedMagicSign)           \
    X(RotateTheOtherWay)         \
    X(ExtensionLosesSign)        \
    X(AddressLosesScale)         \
    X(Load32SignExtends)         \
    X(Store16Writes32)           \
    X(SignedConditionIsUnsigned) \
    X(NegativeMaskTests32)       \
    X(CmpXchg32KeepsUpperHalf)   \
    X(FetchReturnsNewValue)      \
    X(XchgKeepsRegister)         \
    X(Swap16KeepsUpperBits)      \
    X(R9IsNotSaved)              \
    X(MovSxTo32Is64)             \
    X(MulBy5Is9)                 \
    X(DivisionLosesR3)           \
    X(Jump32Compares64)          \
    X(HelperLosesR5)             \
    X(ConstantIsZeroExtended)    \
    X(MemoryOperandOfStaleWidth) \
    X(FlagsOfAnyRegister)        \
    X(ByteComparedWithOneMore)   \
    X(OneMoreTailCall)           \
    X(TailCallIsNotCounted)      \
    X(TailCallIndexIs64)         \
    X(TailCallOfOneMoreSlot)     \
    X(LookupOfOneMoreElement)    \
    X(LookupKeyIs64)             \
    X(LookupInSlot0)             \
    X(LookupOfOneMoreMap)        \
    X(OwnLookupKeepsR3)          \
    X(DeadForgetsR5)             \
    X(SlotsIgnoreAddresses)      \
    X(SlotsOfManyWidths)         \
    X(CopiesOutliveBlocks)       \
    X(CopiesOutliveWrites)       \
    X(RotationOverReads)         \
    X(RotationOfWhatWasWritten)  \
    X(SinkOverWrites)            \
    X(SinkForgetsAWay)           \
    X(CheckOfHalfTheSize)        \
    X(CheckForgetsAlignment)     \
    X(CheckedFrameKeepsContent)  \
    X(ExtentsForgetCarry)        \
    X(ExtentsOfOneWay)           \
    X(LoadsIgnoreOrder)          \
    X(LoadsPassStores)           \
    X(InlinedForgetsSaved)       \
    X(InlinedEndsTheCaller)      \
    X(InlinedSharesFrames)

namespace ebpf::jit {

enum class Planted : u32 {
    None,
#define X(name) name,
    CASEMENT_PLANTED_LIST(X)
#undef X
        kCount,
};

inline constexpr u32 kPlantedCount = static_cast<u32>(Planted::kCount) - 1;

constexpr const char* planted_name(u32 number) {
    constexpr const char* kNames[] = {"None",
#define X(name) #name,
                                      CASEMENT_PLANTED_LIST(X)
#undef X
    };
    return kNames[number];
}

}  // namespace ebpf::jit

#if defined(CASEMENT_PLANTED)
#define PLANTED(name) (options_.planted == static_cast<u32>(::ebpf::jit::Planted::name))
#else
#define PLANTED(name) false
#endif
