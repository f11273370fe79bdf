// PTX, parsed: kernels as lists of instructions whose operands are numbers of registers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

namespace ptx {
/** What is wrong with a text or a kernel's run. */
struct Fault : std::runtime_error {
  using runtime_error::runtime_error;
};

struct Warp;
struct Instruction;
/** Does an instruction for the lanes of the mask. */
using Execute = void(const Instruction&, Warp&, uint32_t mask);

enum class Space { kGeneric, kGlobal, kShared, kParameter };
enum class Flow { kNext, kBranch, kReturn, kBarrier, kWarp };  // kWarp: lanes do it together

/** A register, also that of a constant; `offset` is added where it is an address. */
struct Operand {
  uint32_t index = 0;
  int64_t offset = 0;
};

struct Instruction {
  Execute* execute = nullptr;
  Flow flow = Flow::kNext;
  Space space = Space::kGeneric;
  /** All operands in their order, those of {a, b} and d|p one by one; and how many of them the first one is. */
  std::vector<Operand> operands;
  size_t first_group = 1;
  /** Predicate, or -1. */
  int guard = -1;
  bool guard_negated = false;
  uint32_t target = 0;  // of a branch
  std::string text;     // its operation, as written
};

enum class Special { kThreadX, kThreadY, kThreadZ, kBlockX, kBlockY, kBlockZ, kBlocksX, kBlocksY, kBlocksZ, kThreadsX };

struct Kernel {
  std::vector<size_t> parameter_offsets, parameter_sizes;
  size_t parameter_bytes = 0;
  /** Of arrays whose size is known, and where the launch's bytes begin. */
  size_t shared_bytes = 0;
  std::vector<Instruction> code;
  uint32_t registers = 0;
  /** Registers that hold the same in all lanes from the start. */
  std::vector<std::pair<uint32_t, uint64_t>> constants;
  std::vector<std::pair<uint32_t, Special>> specials;
};

/** The kernels of some texts, each parsed when it is first asked for. */
class Program {
 public:
  /** Adds a text as `nvcc -ptx` writes it. */
  void add(const std::string& text);
  /** Null: there is none of that name. */
  const Kernel* find(const std::string& name);

 private:
  struct Source {
    std::string text, shared;  // from its parameters on; variables in shared memory that its file has
    bool parsed = false;
    Kernel kernel;
  };
  std::unordered_map<std::string, Source> sources_;
};
}  // namespace ptx
