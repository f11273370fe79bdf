// Linked into a test of CUDA code, it has the interpreter run each launch again, from the kernel's PTX, on the memory that it
// found: both readings must leave the same bits in all of global memory, except that a float32 may be another of the NaNs that
// operations make. A difference is the emulator's report. At the end it prints what it has compared, and which kernels it had
// no PTX of.
//
// PRUNEPEFT_PTX in the environment names the texts, colons between, of functions.cu too: both readings get expf and erff from
// there, which the compilers' libraries define otherwise.
#include <cxxabi.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "launches.h"
#include "machine.h"
#include "numbers.h"
#include "state.h"

namespace ptx {
namespace {
std::string contents(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw Fault("no PTX: " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

Program& program() {
  static Program all = [] {
    Program read;
    const char* const given = std::getenv("PRUNEPEFT_PTX");
    if (given == nullptr) throw Fault("PRUNEPEFT_PTX names no PTX");
    const std::string files = given;
    for (size_t begin = 0; begin < files.size();) {
      const size_t end = std::min(files.find(':', begin), files.size());
      read.add(contents(files.substr(begin, end - begin)));
      begin = end + 1;
    }
    return read;
  }();
  return all;
}

/** Functions of one file have an L before their name by the host compiler, none by nvcc. */
std::string device_name(const std::string& name) {
  static const std::string kNested = "_ZN";
  if (name.compare(0, kNested.size(), kNested) != 0) return name;
  size_t at = kNested.size();
  for (;;) {
    if (name[at] == 'L') return name.substr(0, at) + name.substr(at + 1);
    char* end = nullptr;
    const size_t length = std::strtoul(name.c_str() + at, &end, 10);
    if (length == 0) return name;
    at = static_cast<size_t>(end - name.c_str()) + length;
  }
}

std::string name_of(const void* kernel) {
  static std::map<const void*, std::string> names;
  const auto [at, is_new] = names.try_emplace(kernel);
  if (is_new) at->second = device_name(simt::symbol_of(kernel));
  return at->second;
}

std::string readable(const std::string& name) {
  int status = 0;
  char* const text = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  const std::string all = text != nullptr ? text : name;
  std::free(text);
  const size_t start = all.compare(0, 5, "void ") == 0 ? 5 : 0;
  return all.substr(start, all.find('(') - start);
}

using Snapshot = std::vector<std::vector<unsigned char>>;

Snapshot take_snapshot() {
  Snapshot snapshot;
  for (const auto& region : simt::global_regions()) {
    const auto* const begin = reinterpret_cast<const unsigned char*>(region->begin);
    snapshot.emplace_back(begin, begin + (region->end - region->begin));
  }
  return snapshot;
}

void restore(const Snapshot& snapshot) {
  for (size_t i = 0; i < snapshot.size(); i++)
    std::copy(snapshot[i].begin(), snapshot[i].end(), reinterpret_cast<unsigned char*>(simt::global_regions()[i]->begin));
}

/** What an operation makes of no NaN, or of a float16's: on a device, and on a processor, which keeps that one's ten bits. */
bool is_made_nan(const unsigned char* word) {
  constexpr uint32_t kQuiet = 0x7fc00000, kBelowHalf = 0x1fff;
  uint32_t bits;
  std::copy(word, word + sizeof bits, reinterpret_cast<unsigned char*>(&bits));
  return ((bits & kQuiet) == kQuiet && (bits & kBelowHalf) == 0) || bits == 0x7fffffff;
}

/** "", or the first place where memory is not what the host compiler's reading has left. */
std::string difference(const Snapshot& expected) {
  for (size_t i = 0; i < expected.size(); i++) {
    const auto* const got = reinterpret_cast<const unsigned char*>(simt::global_regions()[i]->begin);
    const std::vector<unsigned char>& wanted = expected[i];
    if (memcmp(got, wanted.data(), wanted.size()) == 0) continue;
    for (size_t byte = 0; byte < wanted.size(); byte++) {
      const size_t word = byte / 4 * 4;
      if (got[byte] == wanted[byte] ||
          (word + 4 <= wanted.size() && is_made_nan(got + word) && is_made_nan(wanted.data() + word)))
        continue;
      char text[200];
      uint32_t bits[2] = {};
      for (size_t k = 0; k < 4 && word + k < wanted.size(); k++) {
        bits[0] |= uint32_t{wanted[word + k]} << (8 * k);
        bits[1] |= uint32_t{got[word + k]} << (8 * k);
      }
      snprintf(text, sizeof text, "word at byte %zu of %zu of a buffer is %#x (%g) by the host's compiler, %#x (%g) by PTX",
               word, wanted.size(), bits[0], double{float_of(bits[0])}, bits[1], double{float_of(bits[1])});
      return text;
    }
  }
  return "";
}

class SecondReading {
 public:
  SecondReading() {
    simt::g_watching = false;  // the same tests without this watch accesses
    simt::read_launches([this](const simt::Launch& launch, const std::function<void()>& run) { read(launch, run); });
  }

  ~SecondReading() {
    std::string left_out;
    for (const auto& [name, launches] : left_out_) left_out += " " + readable(name) + " (" + std::to_string(launches) + ")";
    printf("PTX: %zu kernels in %zu launches leave the same bits; %zu launches differ; left out:%s\n", kernels_.size(), same_,
           different_, left_out.empty() ? " none" : left_out.c_str());
    if (same_ > 0) return;
    fflush(stdout);
    _exit(1);  // nothing was compared
  }

 private:
  void read(const simt::Launch& launch, const std::function<void()>& run) {
    const std::string name = name_of(launch.kernel);
    const Kernel* kernel = nullptr;
    std::string fault;
    try {
      kernel = program().find(name);
    } catch (const Fault& unknown) {
      return report(name, unknown.what());
    }
    if (kernel == nullptr) {
      if (name.find("WarpgroupArguments") == std::string::npos) return report(name, "there is no PTX of it");
      left_out_[name]++;
      return run();
    }
    const Snapshot before = take_snapshot();
    run();
    if (simt::launch_status() != cudaSuccess) return;
    const Snapshot after = take_snapshot();
    restore(before);
    try {
      ptx::run(*kernel, as_ptx(launch));
      fault = difference(after);
    } catch (const Fault& wrong) {
      fault = wrong.what();
    }
    restore(after);
    if (!fault.empty()) return report(name, fault);
    kernels_.insert(name);
    same_++;
  }

  static Launch as_ptx(const simt::Launch& launch) {
    Launch same = {{launch.grid.x, launch.grid.y, launch.grid.z},
                   {launch.block.x, launch.block.y, launch.block.z},
                   launch.dynamic_shared_bytes,
                   {},
                   {}};
    for (const simt::Parameter& parameter : launch.parameters) same.parameters.push_back({parameter.value, parameter.bytes});
    for (const auto& region : simt::global_regions()) same.memory.push_back({region->begin, region->end});
    return same;
  }

  void report(const std::string& name, const std::string& fault) {
    different_++;
    simt::fail((readable(name) + ": " + fault).c_str(), "PTX", 0);
  }

  std::set<std::string> kernels_;
  std::map<std::string, size_t> left_out_;
  size_t same_ = 0, different_ = 0;
};
const SecondReading g_second_reading;

float call(const char* function, float x) {
  const simt::Inside inside;
  float result = 0;
  float* const address = &result;
  const auto place = reinterpret_cast<uintptr_t>(address);
  ptx::run(*program().find(function),
           {{1, 1, 1}, {1, 1, 1}, 0, {{&x, sizeof x}, {&address, sizeof address}}, {{place, place + 4}}});
  return result;
}
}  // namespace
}  // namespace ptx

// By --wrap of the linker.
extern "C" {
float __wrap_expf(float x) {
  return ptx::call("expf_of", x);
}
float __wrap_erff(float x) {
  return ptx::call("erff_of", x);
}
}
