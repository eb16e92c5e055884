// SPDX-License-Identifier: MIT
// One process that carries out operations by one way and says how long they took; the way is chosen
// once in a process, so each has its own.
#pragma once

namespace bench {

enum class Way : int { Embedded, Daemon, Kernel };
enum class Operation : int { Lookup, Update, Load, MappedRead, MappedWrite };

struct Order {
    Operation operation{};
    int count = 0;
};
struct Answer {
    double seconds = 0;
    int error = 0;  // errno: nothing was measured
};

// Serves orders from `in` until it ends.
int serve(Way way, int in, int out);

}  // namespace bench
