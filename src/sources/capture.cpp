// SPDX-License-Identifier: MIT
#include "sources/capture.hpp"

#include <pcap/pcap.h>

#include <cerrno>
#include <cstdio>
#include <memory>

namespace ebpf::sources {
namespace {

struct CloseCapture {
    void operator()(pcap_t* capture) const { pcap_close(capture); }
};
using Handle = std::unique_ptr<pcap_t, CloseCapture>;

// libpcap explains a failed open only in English; the cases that a caller tells apart are found out
// before it is asked.
Status check_readable(const char* path) {
    if (std::FILE* file = std::fopen(path, "rb")) {
        std::fclose(file);
        return {};
    }
    return fail(errno == EACCES || errno == EPERM ? Errc::AccessDenied : Errc::FileNotFound, {},
                "capture file");
}

}  // namespace

Result<Capture> Capture::read(const char* path, const CaptureLimits& limits) {
    TRY(check_readable(path));
    char text[PCAP_ERRBUF_SIZE];
    const Handle handle(
        pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, text));
    if (!handle) return fail(Errc::BadFormat, at_offset(0), "capture file");
    if (pcap_datalink(handle.get()) != DLT_EN10MB) {
        return fail(Errc::Unsupported, {}, "link type of the capture",
                    static_cast<u64>(pcap_datalink(handle.get())));
    }

    Capture capture;
    pcap_pkthdr* header = nullptr;
    const u_char* bytes = nullptr;
    int status = 0;
    while ((status = pcap_next_ex(handle.get(), &header, &bytes)) == 1) {
        const u64 number = capture.frames_.size();
        if (number >= limits.max_packets)
            return fail(Errc::TooLarge, at_line(number), "packets", number);
        if (header->caplen > limits.max_packet) {
            return fail(Errc::TooLarge, at_line(number), "bytes of a packet", header->caplen);
        }
        if (header->caplen > limits.max_bytes - capture.data_.size()) {
            return fail(Errc::TooLarge, at_line(number), "bytes of the capture", limits.max_bytes);
        }
        // With nanosecond precision, tv_usec holds nanoseconds.
        capture.frames_.push_back(
            {.offset = capture.data_.size(),
             .timestamp_ns = static_cast<u64>(header->ts.tv_sec) * 1'000'000'000 +
                             static_cast<u64>(header->ts.tv_usec),
             .size = header->caplen,
             .wire_size = header->len});
        const auto* first = reinterpret_cast<const std::byte*>(bytes);
        capture.data_.insert(capture.data_.end(), first, first + header->caplen);
    }
    if (status != PCAP_ERROR_BREAK) {  // libpcap's end of file is PCAP_ERROR_BREAK
        return fail(Errc::BadFormat, at_line(capture.frames_.size()), "packet of the capture",
                    capture.frames_.size());
    }
    return capture;
}

Frame Capture::operator[](u32 index) const {
    const Entry& entry = frames_[index];
    return {Bytes(data_).subspan(entry.offset, entry.size), entry.timestamp_ns, entry.wire_size};
}

}  // namespace ebpf::sources
