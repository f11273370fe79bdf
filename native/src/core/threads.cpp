#include "core/threads.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <thread>

#if defined(__linux__)
#include <dirent.h>
#include <sched.h>
#include <unistd.h>
#endif
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

#include "core/call.h"
#include "core/status.h"
#include "prunepeft/device.h"

namespace prunepeft {
namespace {

// About ten microseconds of one core.
constexpr double kOperationsWorthATeam = 5e5;

// A pause is some 20 to 50 ns. Between two calls of a forward pass lie some ten microseconds, which an idle helper watches, for
// to wake one takes as long, in a virtual machine several times as long. Another thread that wants the core gets it meanwhile.
constexpr int kPausesAtABarrier = 1000, kPausesWhenIdle = 2000, kPausesBeforeYielding = 64;

constexpr size_t kCacheLine = 64;

#if defined(__linux__)

/**
 * Adds the processors of all of the process's threads; false where they are not known. One thread's are not the process's: an
 * OpenMP library may have bound it to one processor.
 */
bool own_processors(cpu_set_t& own) {
  CPU_ZERO(&own);
  bool any = false;
  const auto add = [&](pid_t thread) {
    cpu_set_t of_thread;
    if (sched_getaffinity(thread, sizeof of_thread, &of_thread) != 0) return;
    CPU_OR(&own, &own, &of_thread);
    any = true;
  };
  if (DIR* const threads = opendir("/proc/self/task")) {
    while (const dirent* const entry = readdir(threads)) {
      const int thread = std::atoi(entry->d_name);
      if (thread > 0) add(thread);
    }
    closedir(threads);
  }
  if (!any) add(getpid());
  if (!any) add(0);
  return any;
}

#endif

/** Lets the calling thread run wherever the process may: it has begun with the processors of the thread that made it. */
void take_own_processors() {
#if defined(__linux__)
  cpu_set_t own;
  if (own_processors(own)) sched_setaffinity(0, sizeof own, &own);
#endif
}

/** Processors that this process may run on, as it began; hardware_concurrency may count those that it may not. */
int32_t processors() {
  static const int32_t count = [] {
    int found = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
    cpu_set_t own;
    if (own_processors(own)) found = CPU_COUNT(&own);
#endif
    return std::clamp(found, 1, static_cast<int>(PP_MOST_THREADS));
  }();
  return count;
}

std::atomic<int32_t>& thread_count() {
  static std::atomic<int32_t> threads{processors()};
  return threads;
}

thread_local int64_t own_number = 0;

void pause() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("isb");
#else
  std::this_thread::yield();
#endif
}

/** How the calling thread's arithmetic rounds and whether it flushes subnormal numbers: MXCSR, or FPCR. */
class Rounding {
 public:
#if defined(__x86_64__) || defined(_M_X64)
  static Rounding own() {
    return Rounding(_mm_getcsr() & ~kFlags);
  }
  void use() const {
    if ((_mm_getcsr() & ~kFlags) != word_) _mm_setcsr(static_cast<unsigned>(word_));
  }
#elif defined(__aarch64__)
  static Rounding own() {
    uint64_t word;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(word));
    return Rounding(word);
  }
  void use() const {
    __asm__ __volatile__("msr fpcr, %0" : : "r"(word_));
  }
#else
  static Rounding own() {
    return Rounding(0);
  }
  void use() const {}
#endif

 private:
  explicit Rounding(uint64_t word) : word_(word) {}

  /** What operations have set, which is no setting. */
  static constexpr unsigned kFlags = 0x3F;
  uint64_t word_;
};

/** Watches for a condition, for a moment. */
template <class Condition>
bool comes_soon(int pauses, const Condition& condition) {
  for (int i = 1; i <= pauses; ++i) {
    if (condition()) return true;
    if (i % kPausesBeforeYielding == 0) std::this_thread::yield();
    pause();
  }
  return condition();
}

/** The phases of one call, which lies on its caller's stack. */
class Job {
 public:
  Job(const Phase* phases, int count, int64_t threads) : phases_(phases), count_(count), places_(threads - 1) {}

  /** Whether one more thread may help; if so it is a member until it leaves. */
  bool reserve() {
    if (places_.fetch_sub(1, std::memory_order_relaxed) <= 0) {
      places_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    members_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }

  /** A member that never began. */
  void cancel() {
    places_.fetch_add(1, std::memory_order_relaxed);
    leave();
  }

  /** What a member does last with a job. */
  void leave() { members_.fetch_sub(1, std::memory_order_release); }

  bool wants_help() const { return places_.load(std::memory_order_relaxed) > 0; }

  bool deserted() const { return members_.load(std::memory_order_acquire) == 0; }

  /** The caller's, which an item's bits may depend on. */
  const Rounding& rounding() const { return rounding_; }

  /** The next of the numbers that name a member's scratch memory; the caller has 0. */
  int64_t next_number() { return numbers_.fetch_add(1, std::memory_order_relaxed) + 1; }

  /** Takes items until none is left, phase by phase. Of the last phase others may still be at work on theirs. */
  void work();

  void wait_for_end() { wait_for_phase(count_ - 1); }

 private:
  struct ItemRun {
    int64_t begin, end;
  };

  struct alignas(kCacheLine) Progress {
    std::atomic<int64_t> next{0};
    alignas(kCacheLine) std::atomic<int64_t> done{0};
  };

  /**
   * Takes the next items; an empty run where none is left. What neighbours read is mostly one run of memory, which the
   * processor then fetches ahead by itself, so that they go to one thread; the runs become shorter towards the end, which evens
   * out cores that others use too. An item's bits don't depend on who computes it.
   */
  ItemRun next_run(int phase) {
    std::atomic<int64_t>& next = progress_[phase].next;
    const int64_t items = phases_[phase].items, threads = places_at_first_ + 1;
    int64_t begin = next.load(std::memory_order_relaxed), end;
    do {
      const int64_t share = (items - begin) / (4 * threads);
      end = std::min(begin + std::max<int64_t>(share, 1), items);
    } while (begin < end && !next.compare_exchange_weak(begin, end, std::memory_order_relaxed));
    return {begin, end};
  }

  bool ended(int phase) const { return progress_[phase].done.load() == phases_[phase].items; }

  void count_done(int phase, int64_t items) {
    if (progress_[phase].done.fetch_add(items) + items == phases_[phase].items && sleepers_.load() > 0) {
      const std::lock_guard<std::mutex> lock(mutex_);
      phase_ended_.notify_all();
    }
  }

  void wait_for_phase(int phase) {
    const auto condition = [&] { return ended(phase); };
    if (comes_soon(kPausesAtABarrier, condition)) return;
    ++sleepers_;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      phase_ended_.wait(lock, condition);
    }
    --sleepers_;
  }

  const Phase* const phases_;
  const int count_;
  const Rounding rounding_ = Rounding::own();
  std::atomic<int64_t> places_;
  const int64_t places_at_first_ = places_.load(std::memory_order_relaxed);
  std::atomic<int64_t> members_{0}, numbers_{0};
  std::atomic<int> sleepers_{0};
  std::mutex mutex_;
  std::condition_variable phase_ended_;
  Progress progress_[kMostPhases];
};

/** A thread that helps callers, for as long as the process lives. */
class alignas(kCacheLine) Helper {
 public:
  /** Gives an idle helper a job, of which it is a member already; false: it is not idle. */
  bool offer(Job* job) {
    Job* idle = nullptr;
    if (offered_.load(std::memory_order_relaxed) != nullptr || !offered_.compare_exchange_strong(idle, job)) return false;
    if (asleep_.load()) {
      const std::lock_guard<std::mutex> lock(mutex_);
      woken_.notify_one();
    }
    return true;
  }

  /** Takes back an offer that the helper has not seen; false: it is at work on it, or on another job. */
  bool take_back(Job* job) {
    return offered_.load(std::memory_order_relaxed) == job && offered_.compare_exchange_strong(job, nullptr);
  }

  void run();

 private:
  Job* accept() {
    Job* job = offered_.load();
    return job != nullptr && offered_.compare_exchange_strong(job, busy()) ? job : nullptr;
  }

  /** No job has the address of a helper. */
  Job* busy() { return reinterpret_cast<Job*>(this); }

  std::atomic<Job*> offered_{nullptr};
  std::atomic<bool> asleep_{false};
  std::mutex mutex_;
  std::condition_variable woken_;
};

/** All helpers of the process, which its callers share. They are started when first wanted; a call takes those that are idle.
 */
class Pool {
 public:
  /** Never destroyed: helpers may be at work while the process ends. */
  static Pool& instance() {
    alignas(Pool) static unsigned char memory[sizeof(Pool)];
    static Pool& pool = *new (memory) Pool;
    return pool;
  }

  /** Offers a job to two threads at most; each that takes it does likewise, so that waking many is shared. */
  void recruit(Job& job) {
    for (int i = 0; i < 2 && job.reserve(); ++i) {
      if (!offer(job) && !start(job)) {
        job.cancel();
        return;
      }
    }
  }

  /** After the last phase: waits until nobody has the job any more. */
  void dismiss(Job& job) {
    while (!job.deserted()) {
      const int32_t count = count_.load(std::memory_order_acquire);
      for (int32_t i = 0; i < count; ++i) {
        if (helpers_[i]->take_back(&job)) job.leave();
      }
      // Who took it finds no item left: some instructions, unless the system has stopped it there.
      comes_soon(kPausesBeforeYielding, [&] { return job.deserted(); });
    }
  }

 private:
  bool offer(Job& job) {
    const int32_t count = count_.load(std::memory_order_acquire);
    for (int32_t i = 0; i < count; ++i) {
      if (helpers_[i]->offer(&job)) return true;
    }
    return false;
  }

  static bool are_enough(int32_t helpers) { return helpers >= std::max(pp_num_threads(), processors()) - 1; }

  /** A new thread for a job; false: there are enough, or the system gives none. */
  bool start(Job& job) {
    if (are_enough(count_.load(std::memory_order_relaxed))) return false;
    const std::lock_guard<std::mutex> lock(mutex_);
    const int32_t count = count_.load(std::memory_order_relaxed);
    if (are_enough(count)) return false;
    Helper* const helper = new (std::nothrow) Helper;
    if (helper == nullptr) return false;
    helper->offer(&job);
    try {
      std::thread(&Helper::run, helper).detach();
    } catch (const std::exception&) {  // no thread, or no memory for one
      delete helper;
      return false;
    }
    helpers_[count] = helper;
    count_.store(count + 1, std::memory_order_release);
    return true;
  }

  std::mutex mutex_;
  std::atomic<int32_t> count_{0};
  Helper* helpers_[PP_MOST_THREADS] = {};
};

void Job::work() {
  for (int i = 0; i < count_; ++i) {
    if (i > 0) wait_for_phase(i - 1);
    int64_t done = 0;
    for (ItemRun run; run = next_run(i), run.begin < run.end; done += run.end - run.begin) {
      // Helpers that were another caller's at this one's beginning may be idle now.
      if (run.end < phases_[i].items && wants_help()) Pool::instance().recruit(*this);
      for (int64_t item = run.begin; item < run.end; ++item) phases_[i].run(phases_[i].context, item);
    }
    if (done > 0) count_done(i, done);
  }
}

void Helper::run() {
  take_own_processors();
  for (;;) {
    const auto offered = [&] { return offered_.load() != nullptr; };
    if (!comes_soon(kPausesWhenIdle, offered)) {
      std::unique_lock<std::mutex> lock(mutex_);
      asleep_.store(true);
      woken_.wait(lock, offered);
      asleep_.store(false);
    }
    Job* const job = accept();
    if (job == nullptr) continue;  // taken back
    own_number = job->next_number();
    Pool::instance().recruit(*job);
    job->rounding().use();
    job->work();
    offered_.store(nullptr);
    job->leave();
  }
}

}  // namespace

int64_t thread_number() {
  return own_number;
}

void run_phases(const Phase* phases, int count, double operations) {
  int64_t most_items = 0;
  for (int i = 0; i < count; ++i) most_items = phases[i].items > most_items ? phases[i].items : most_items;
  int64_t threads = operations < kOperationsWorthATeam ? 1 : call_threads();
  if (threads > most_items) threads = most_items;
  own_number = 0;
  if (threads <= 1) {
    for (int i = 0; i < count; ++i) {
      for (int64_t item = 0; item < phases[i].items; ++item) phases[i].run(phases[i].context, item);
    }
    return;
  }
  Job job(phases, count, threads);
  Pool::instance().recruit(job);
  job.work();
  job.wait_for_end();
  Pool::instance().dismiss(job);
}

}  // namespace prunepeft

pp_status pp_set_num_threads(int32_t threads) {
  if (threads < 1 || threads > PP_MOST_THREADS) {
    return prunepeft::fail(PP_INVALID_ARGUMENT, "threads must be in [1, %d], got %d", static_cast<int>(PP_MOST_THREADS),
                           static_cast<int>(threads));
  }
  prunepeft::thread_count().store(threads, std::memory_order_relaxed);
  return PP_OK;
}

int32_t pp_num_threads(void) {
  return prunepeft::thread_count().load(std::memory_order_relaxed);
}
