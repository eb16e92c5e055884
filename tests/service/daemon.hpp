// SPDX-License-Identifier: MIT
// A daemon for a test: at a path of its own, ended with the test's process.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "products/service/channel.hpp"

namespace ebpf::test {

// Starts `ebpfsvc` and waits until it serves (or has ended).
class Daemon {
  public:
    explicit Daemon(std::vector<std::string> options = {"--no-live"}, rlim_t files = 0)
        : files_(files) {
        char folder[] = "/tmp/ebpfsvc-test-XXXXXX";
        if (!mkdtemp(folder)) return;
        folder_ = folder;
        start(std::move(options));
    }
    ~Daemon() {
        stop();
        if (!folder_.empty()) (void)rmdir(folder_.c_str());
    }
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    void start(std::vector<std::string> options = {"--no-live"}) {
        std::vector<std::string> words = {CASEMENT_EBPFSVC, "--socket", path()};
        words.insert(words.end(), options.begin(), options.end());
        int ends[2];
        if (pipe(ends) != 0) return;
        process_ = fork();
        if (process_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            const rlimit limit{files_, files_};
            if (files_ != 0) setrlimit(RLIMIT_NOFILE, &limit);
            dup2(ends[1], STDOUT_FILENO);
            close(ends[0]);
            close(ends[1]);
            std::vector<char*> arguments;
            for (std::string& word : words) arguments.push_back(word.data());
            arguments.push_back(nullptr);
            execv(arguments[0], arguments.data());
            _exit(127);
        }
        close(ends[1]);
        char byte = 0;
        served_ = read(ends[0], &byte, 1) == 1;
        while (read(ends[0], &byte, 1) == 1 && byte != '\n') {
        }
        close(ends[0]);
    }
    // The exit status; -1 when it was killed or did not run.
    int stop(int signal = SIGTERM) {
        if (process_ <= 0) return -1;
        kill(process_, signal);
        int status = 0;
        waitpid(process_, &status, 0);
        process_ = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

    bool served() const { return served_; }
    const std::string& folder() const { return folder_; }
    std::string path() const { return folder_ + "/socket"; }
    pid_t process() const { return process_; }

    // What it holds now, asked over a connection of its own.
    service::Figures figures() const {
        service::Figures figures{};
        auto channel = service::Channel::connect(path().c_str());
        if (!channel) return figures;
        service::Packet packet;
        for (const auto type : {service::FrameType::Hello, service::FrameType::Status}) {
            if (!channel->send({.type = type}) || !channel->receive(packet)) return figures;
        }
        if (packet.payload.size() == sizeof figures) {
            std::memcpy(&figures, packet.payload.data(), sizeof figures);
        }
        return figures;
    }

  private:
    std::string folder_;
    rlim_t files_ = 0;  // descriptors that it may have; 0: as many as we
    pid_t process_ = 0;
    bool served_ = false;
};

// Runs `body` in a child of this process; its value is the child's status (0 to 255).
template <typename Body>
int in_child(Body&& body) {
    const pid_t child = fork();
    if (child == 0) _exit(body());
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

// Waits until `true_now` is true, at most 20 seconds.
template <typename Condition>
bool eventually(Condition&& true_now) {
    for (int i = 0; i < 2000; ++i) {
        if (true_now()) return true;
        usleep(10000);
    }
    return false;
}

}  // namespace ebpf::test
