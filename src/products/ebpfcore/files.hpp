// SPDX-License-Identifier: MIT
// The files that one request names, by handles of the process that sent it.
#pragma once

#include "products/ebpfcore/file.hpp"
#include "wire/translate.hpp"

namespace ebpf::products {

// What was resolved stays open until the request is answered, so that the driver's handle for it
// cannot come to mean another object, whatever the process closes meanwhile. PASSIVE, in the
// context of the process.
class Files {
  public:
    explicit Files(const Context& context) : context_(context) {}
    ~Files();
    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;

    // The driver's handle for the object of a file. Errors: InvalidFd when nothing is open under
    // this number; InvalidArgument for anything else that is no object's file of ours.
    Result<u32> handle_of(u32 number);

    // What decode() wants to know; sizes follow from it, so translate() means the same object.
    wire::Shapes shapes();

    // Puts our handles in place of the process' in a decoded request, wherever it has them.
    void translate(wire::Request& request);

  private:
    Result<wire::Shape> shape_of(u32 number);

    const Context& context_;
    runtime::Table<wdk::FileObject*> held_;
    u32 shaped_ = 0;  // the number that shape_of() was asked about, and its handle
    u32 shaped_handle_ = 0;
};

}  // namespace ebpf::products
