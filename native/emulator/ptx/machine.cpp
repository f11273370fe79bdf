#include "machine.h"

#include <algorithm>
#include <cstring>

namespace ptx {
namespace {
constexpr uint64_t kInstructionLimit = 100'000'000;  // of a block's warps between two barriers
constexpr unsigned char kPoison = 0xff;

class Block {
 public:
  Block(const Kernel& kernel, const Launch& launch) : kernel_(kernel), launch_(launch), memory_(kernel, launch) {
    threads_ = launch.block.x * launch.block.y * launch.block.z;
    warps_.resize((threads_ + kLanes - 1) / kLanes);
    for (Warp& warp : warps_) {
      warp.memory = &memory_;
      warp.registers.resize(size_t{kernel.registers} * kLanes);
      for (const auto& [index, number] : kernel.constants) std::fill_n(warp.lanes({index, 0}), kLanes, number);
    }
  }

  void run(Size index) {
    memory_.clear_shared();
    for (size_t i = 0; i < warps_.size(); i++) start(static_cast<unsigned>(i) * kLanes, index, &warps_[i]);
    for (;;) {
      executed_ = 0;
      for (Warp& warp : warps_) run(&warp);
      if (std::all_of(warps_.begin(), warps_.end(), [](const Warp& warp) { return warp.present == 0; })) return;
      unsigned arrived = 0;
      for (const Warp& warp : warps_) arrived += static_cast<unsigned>(__builtin_popcount(warp.at_barrier));
      if (arrived != threads_) throw Fault("a block barrier that some threads do not come to");
      for (Warp& warp : warps_) warp.at_barrier = 0;
    }
  }

  size_t last_instruction() const { return last_; }

 private:
  void start(unsigned first_thread, Size index, Warp* warp) {
    warp->next.fill(0);
    warp->present = threads_ - first_thread >= kLanes ? kAllLanes : (1u << (threads_ - first_thread)) - 1;
    warp->at_barrier = warp->gathered = 0;
    for (auto& copies : warp->open_group) copies.clear();
    for (auto& groups : warp->groups) groups.clear();
    for (const auto& [number, special] : kernel_.specials) {
      uint64_t* const lanes = warp->lanes({number, 0});
      for (unsigned lane = 0; lane < kLanes; lane++) lanes[lane] = value_of(special, first_thread + lane, index);
    }
  }

  uint64_t value_of(Special special, unsigned thread, Size index) const {
    const Size& block = launch_.block;
    switch (special) {
      case Special::kThreadX:
        return thread % block.x;
      case Special::kThreadY:
        return thread / block.x % block.y;
      case Special::kThreadZ:
        return thread / block.x / block.y;
      case Special::kBlockX:
        return index.x;
      case Special::kBlockY:
        return index.y;
      case Special::kBlockZ:
        return index.z;
      case Special::kBlocksX:
        return launch_.grid.x;
      case Special::kBlocksY:
        return launch_.grid.y;
      case Special::kBlocksZ:
        return launch_.grid.z;
      default:
        return block.x;
    }
  }

  /** Until each thread has left or waits at the block's barrier. */
  void run(Warp* warp) {
    for (;;) {
      const uint32_t ready = warp->present & ~warp->at_barrier & ~warp->gathered;
      if (ready == 0) {
        if (warp->gathered != 0) throw Fault("threads wait for others of their warp that do not come");
        return;
      }
      uint32_t place = ~0u, others = ~0u, mask = 0;  // `others`: the next place where threads stand
      for_lanes(ready, [&](int lane) { place = std::min(place, warp->next[static_cast<size_t>(lane)]); });
      for_lanes(ready, [&](int lane) {
        const uint32_t at = warp->next[static_cast<size_t>(lane)];
        if (at == place)
          mask |= 1u << lane;
        else
          others = std::min(others, at);
      });
      run_together(warp, place, mask, others);
    }
  }

  /** Of the lanes of the mask, which stand at `place`, until they part, meet others or wait. */
  void run_together(Warp* warp, uint32_t place, uint32_t mask, uint32_t others) {
    do {
      if (++executed_ > kInstructionLimit) throw Fault("a loop does not end");
      const Instruction& instruction = kernel_.code[last_ = place];
      const uint32_t active = mask & guarded(*warp, instruction);
      switch (instruction.flow) {
        case Flow::kNext:
          if (active != 0) instruction.execute(instruction, *warp, active);
          place++;
          break;
        case Flow::kBranch:
          if (active != 0 && active != mask) {
            stand_at(warp, active, instruction.target);
            return stand_at(warp, mask & ~active, place + 1);
          }
          place = active != 0 ? instruction.target : place + 1;
          break;
        case Flow::kReturn:
          warp->present &= ~active;
          mask &= ~active;
          place++;
          break;
        case Flow::kBarrier:
          warp->at_barrier |= active;
          return stand_at(warp, mask, place + 1);
        case Flow::kWarp:
          stand_at(warp, active, place);
          stand_at(warp, mask & ~active, place + 1);
          warp->gathered |= active;
          if (!perform(warp, instruction, place) || active != warp->present) return;
          place++;
          break;
      }
    } while (mask != 0 && place < others);
    stand_at(warp, mask, place);
  }

  /** If all lanes that the instruction names have come to it, has them do it. */
  bool perform(Warp* warp, const Instruction& instruction, uint32_t place) {
    const bool names_lanes = instruction.text.compare(0, 4, "shfl") == 0;
    const uint32_t members = names_lanes ? static_cast<uint32_t>(*warp->lanes(instruction.operands.back())) : kAllLanes;
    if ((members & ~warp->present) != 0) throw Fault(instruction.text + " waits for lanes that have left");
    bool all = (members & ~warp->gathered) == 0;
    for_lanes(members, [&](int lane) { all = all && warp->next[static_cast<size_t>(lane)] == place; });
    if (!all) return false;
    instruction.execute(instruction, *warp, members);
    warp->gathered &= ~members;
    stand_at(warp, members, place + 1);
    return true;
  }

  static uint32_t guarded(Warp& warp, const Instruction& instruction) {
    if (instruction.guard < 0) return kAllLanes;
    const uint64_t* const predicate = warp.lanes({static_cast<uint32_t>(instruction.guard), 0});
    uint32_t mask = 0;
    for (int lane = 0; lane < kLanes; lane++) mask |= static_cast<uint32_t>(predicate[lane] & 1) << lane;
    return instruction.guard_negated ? ~mask : mask;
  }

  static void stand_at(Warp* warp, uint32_t mask, uint32_t place) {
    for_lanes(mask, [&](int lane) { warp->next[static_cast<size_t>(lane)] = place; });
  }

  const Kernel& kernel_;
  const Launch& launch_;
  Memory memory_;
  unsigned threads_;
  std::vector<Warp> warps_;
  uint64_t executed_ = 0;
  size_t last_ = 0;
};
}  // namespace

Memory::Memory(const Kernel& kernel, const Launch& launch)
    : parameters_(kernel.parameter_bytes), shared_(kernel.shared_bytes + launch.shared_bytes), global_(launch.memory) {
  if (launch.parameters.size() != kernel.parameter_sizes.size()) throw Fault("a kernel has other parameters in PTX");
  for (size_t i = 0; i < launch.parameters.size(); i++) {
    const Parameter& parameter = launch.parameters[i];
    if (parameter.bytes != kernel.parameter_sizes[i])
      throw Fault("parameter " + std::to_string(i) + " has " + std::to_string(kernel.parameter_sizes[i]) + " bytes in PTX, " +
                  std::to_string(parameter.bytes) + " in the launch");
    memcpy(parameters_.data() + kernel.parameter_offsets[i], parameter.value, parameter.bytes);
  }
  std::sort(global_.begin(), global_.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
}

void Memory::clear_shared() {
  std::fill(shared_.begin(), shared_.end(), kPoison);
}

unsigned char* Memory::at(Space space, uint64_t address, size_t bytes, size_t alignment) {
  if (address % alignment != 0) throw Fault("a misaligned access of " + std::to_string(bytes) + " bytes");
  if (space == Space::kShared || space == Space::kParameter) {
    std::vector<unsigned char>& own = space == Space::kShared ? shared_ : parameters_;
    const uint64_t offset = space == Space::kShared ? static_cast<uint32_t>(address) : address;
    if (offset > own.size() || bytes > own.size() - offset)
      throw Fault(space == Space::kShared ? "an access outside of shared memory" : "an access outside of the parameters");
    return own.data() + offset;
  }
  if (address < last_.begin || address >= last_.end) {
    const auto after = std::upper_bound(global_.begin(), global_.end(), address,
                                        [](uint64_t value, const Range& range) { return value < range.begin; });
    if (after == global_.begin() || address >= (after - 1)->end) throw Fault("an access outside of every buffer");
    last_ = *(after - 1);
  }
  if (bytes > last_.end - address) throw Fault("an access past a buffer's end");
  return reinterpret_cast<unsigned char*>(address);
}

void run(const Kernel& kernel, const Launch& launch) {
  Block block(kernel, launch);
  for (unsigned z = 0; z < launch.grid.z; z++)
    for (unsigned y = 0; y < launch.grid.y; y++)
      for (unsigned x = 0; x < launch.grid.x; x++) try {
          block.run({x, y, z});
        } catch (const Fault& fault) {
          throw Fault(std::string(fault.what()) + ", at instruction " + std::to_string(block.last_instruction()) + ", " +
                      kernel.code[block.last_instruction()].text + ", of block " + std::to_string(x) + "," + std::to_string(y) +
                      "," + std::to_string(z));
        }
}
}  // namespace ptx
