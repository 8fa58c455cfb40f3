// Threads that share one piece of work after another.
//
// OpenMP waits for all its threads at the end of every loop. A pass has some hundred and fifty loops
// of ten microseconds, and where something else needs a core (a browser beside the app, a neighbour
// in a cloud), each of them waits until it gets the core back. Here work is taken handful by handful:
// who comes late finds it done, and nobody waits for somebody who holds none of it.

#pragma once

#include <immintrin.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <system_error>
#include <thread>

namespace propd {

class Team {
 public:
  // Never destroyed: its threads sleep when the process ends.
  static Team& get() {
    static Team* team = new Team;
    return *team;
  }

  // Calls work(begin, end) for ranges that make up 0 to count, by at most so many threads, this one
  // among them, in handfuls of `least` and more. Work must not throw, and must not share any itself.
  template <typename Work>
  void share(int threads, int64_t count, int64_t least, const Work& work) {
    if (threads < 2 || count <= least || count > MOST || busy_.exchange(true)) {
      if (count > 0) work(int64_t{0}, count);
      return;
    }
    hire(threads - 1);
    run_ = [](const void* of, int64_t begin, int64_t end) {
      (*static_cast<const Work*>(of))(begin, end);
    };
    work_ = &work, count_ = count, least_ = least, helpers_ = threads - 1, done_ = 0;
    phase_ = (phase_ + 1) & MOST;
    state_ = phase_ << 32 | static_cast<uint64_t>(count);
    if (sleeping_ > 0) wake();
    while (take()) {}
    for (int turn = 0; done_.load(std::memory_order_acquire) != count; ++turn) rest(turn);
    busy_ = false;
  }

 private:
  static constexpr int64_t MOST = 0x7fffffff;
  static constexpr int PATIENCE = 200;  // looks, some 4 microseconds: then others may have the core
  static constexpr int SPINS = 400;     // until a thread sleeps: longer than between two loops

  // Phase in the upper half, what is left of its work in the lower. Work of a phase is taken by
  // changing the whole, which fails if the phase has passed: then nothing that was read counts.
  std::atomic<uint64_t> state_{0};
  std::atomic<void (*)(const void*, int64_t, int64_t)> run_{nullptr};
  std::atomic<const void*> work_{nullptr};
  std::atomic<int64_t> count_{0}, least_{1}, done_{0};
  std::atomic<bool> busy_{false};
  std::atomic<int> hired_{0}, helpers_{0}, sleeping_{0};
  std::atomic<uint32_t> calls_{0};
  uint64_t phase_ = 0;

  Team() {
    pthread_atfork(nullptr, nullptr, [] {  // threads do not come along
      get().hired_ = get().sleeping_ = 0;
      get().busy_ = false;
    });
  }

  static void rest(int turn) { turn < PATIENCE ? _mm_pause() : static_cast<void>(sched_yield()); }

  void hire(int wanted) {
    try {
      for (int number = hired_; number < wanted; ++number) {
        std::thread([this, number] { help(number); }).detach();
        ++hired_;
      }
    } catch (const std::system_error&) {  // no thread is to be had: the work is done without
    }
  }

  // One handful: less and less, so that all end together. False if nothing is left.
  bool take() {
    uint64_t now = state_.load(std::memory_order_acquire);
    const auto left = static_cast<int64_t>(now & MOST);
    if (left == 0) return false;
    const auto run = run_.load(std::memory_order_relaxed);
    const void* work = work_.load(std::memory_order_relaxed);
    const int64_t first = count_.load(std::memory_order_relaxed) - left;
    const int64_t share = left / (2 * (helpers_.load(std::memory_order_relaxed) + 1));
    const int64_t some = std::min(left, std::max(share, least_.load(std::memory_order_relaxed)));
    if (state_.compare_exchange_strong(now, now - static_cast<uint64_t>(some))) {
      run(work, first, first + some);
      done_.fetch_add(some, std::memory_order_release);
    }
    return true;
  }

  void help(int number) {
    for (int idle = 0;;) {
      if (number < helpers_.load(std::memory_order_relaxed) && take()) {
        idle = 0;
      } else if (++idle < SPINS) {
        rest(idle);
      } else {
        sleep();
        idle = 0;
      }
    }
  }

  void sleep() {
    const uint32_t calls = calls_;
    ++sleeping_;
    // whoever brings work after this look sees that somebody sleeps, and calls
    if ((state_ & MOST) == 0) calls_.wait(calls);
    --sleeping_;
  }

  void wake() {
    ++calls_;
    calls_.notify_all();
  }
};

}  // namespace propd
