#include "bridge/base/Lane.h"

#include <exception>
#include <pthread.h>

namespace gridbridge {

Lane::Lane(std::string name, int width, std::function<void(const std::string&)> onDefect)
    : name_(std::move(name)), onDefect_(std::move(onDefect)) {
    for (int i = 0; i < width; ++i) {
        threads_.emplace_back([this](std::stop_token stop) { work(stop); });
    }
}

Lane::~Lane() {
    for (auto& thread : threads_) {
        thread.request_stop();
    }
}

void Lane::post(Task task) {
    tasks_.push(std::move(task));
}

void Lane::work(std::stop_token stop) {
    ::pthread_setname_np(::pthread_self(), name_.substr(0, 15).c_str());
    while (!stop.stop_requested()) {
        auto task = tasks_.pop(stop);
        if (!task || stop.stop_requested()) {
            return;
        }
        try {
            (*task)(stop);
        } catch (const std::exception& e) {
            onDefect_(e.what());
        }
    }
}

}  // namespace gridbridge
