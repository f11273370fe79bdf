#include "count.h"

#include <algorithm>
#include <array>
#include <list>
#include <map>
#include <unordered_map>
#include <utility>

#include "counting.h"

namespace simt {
bool g_counting = false;

namespace {
constexpr uint64_t kSectorBytes = 32, kSectorsOfLine = 4, kLineBytes = kSectorBytes * kSectorsOfLine;
constexpr uint64_t kBanks = 32, kWordBytes = 4;
constexpr uint32_t kWholeSector = ~0u;

int bits(uint32_t mask) {
  return __builtin_popcount(mask);
}

uint64_t divide_up(uint64_t a, uint64_t b) {
  return (a + b - 1) / b;
}

/** Bytes of sectors, a bit a byte. */
class Sectors {
 public:
  void clear() { parts_.clear(); }
  void add(uintptr_t address, size_t bytes) {
    for (uintptr_t at = address, end = address + bytes; at < end;) {
      const uint64_t sector = at / kSectorBytes, next = std::min<uint64_t>((sector + 1) * kSectorBytes, end);
      const uint64_t count = next - at;
      const uint32_t mask = (count == kSectorBytes ? kWholeSector : (1u << count) - 1) << at % kSectorBytes;
      if (!parts_.empty() && parts_.back().first == sector)
        parts_.back().second |= mask;
      else
        parts_.emplace_back(sector, mask);
      at = next;
    }
  }
  /** Each sector once, by its number. */
  const std::vector<std::pair<uint64_t, uint32_t>>& parts() {
    const auto less = [](const auto& a, const auto& b) { return a.first < b.first; };
    if (!std::is_sorted(parts_.begin(), parts_.end(), less)) std::sort(parts_.begin(), parts_.end(), less);
    size_t kept = 0;
    for (size_t i = 1; i < parts_.size(); i++)
      if (parts_[i].first == parts_[kept].first)
        parts_[kept].second |= parts_[i].second;
      else
        parts_[++kept] = parts_[i];
    if (!parts_.empty()) parts_.resize(kept + 1);
    return parts_;
  }

 private:
  std::vector<std::pair<uint64_t, uint32_t>> parts_;
};

class Cache {
 public:
  explicit Cache(size_t bytes) : most_lines_(std::max<size_t>(bytes / kLineBytes, 1)) {}

  void read(uint64_t sector) {
    Part& part = find(sector);
    if (!part.whole && part.stored != kWholeSector) read_ += kSectorBytes;
    part.whole = true;
  }
  void write(uint64_t sector, uint32_t bytes) { find(sector).stored |= bytes; }
  void empty() {
    while (!lines_.empty()) drop_oldest();
  }
  uint64_t bytes_read() const { return read_; }
  uint64_t bytes_written() const { return written_; }

 private:
  struct Part {
    bool whole = false;  // read from memory
    uint32_t stored = 0;
  };
  struct Line {
    std::list<uint64_t>::iterator use;
    std::array<Part, kSectorsOfLine> parts;
  };

  Part& find(uint64_t sector) {
    const uint64_t number = sector / kSectorsOfLine;
    auto found = lines_.find(number);
    if (found == lines_.end()) {
      if (lines_.size() == most_lines_) drop_oldest();
      uses_.push_front(number);
      found = lines_.emplace(number, Line{uses_.begin(), {}}).first;
    } else {
      uses_.splice(uses_.begin(), uses_, found->second.use);
    }
    return found->second.parts[sector % kSectorsOfLine];
  }
  void drop_oldest() {
    const auto oldest = lines_.find(uses_.back());
    for (const Part& part : oldest->second.parts) {
      if (part.stored == 0) continue;
      if (!part.whole && part.stored != kWholeSector) read_ += kSectorBytes;
      written_ += kSectorBytes;
    }
    uses_.pop_back();
    lines_.erase(oldest);
  }

  size_t most_lines_;
  std::unordered_map<uint64_t, Line> lines_;
  std::list<uint64_t> uses_;  // the latest first
  uint64_t read_ = 0, written_ = 0;
};

/** A load or store in the source. */
struct Site {
  AccessCount count;
  bool shared() const {
    return count.kind == Counted::kSharedLoad || count.kind == Counted::kSharedStore || count.kind == Counted::kSharedAtomic ||
           count.kind == Counted::kMatrixLoad;
  }
};

struct Request {
  uint32_t site;
  unsigned lanes = 0;
  std::array<uintptr_t, kWarpSize> address{};
  std::array<uint16_t, kWarpSize> bytes{};
};

/** How often a lane has come to a site since the last operation of its warp. */
struct Visits {
  uint32_t operations = 0, count = 0;
};
struct LaneVisits {
  uint32_t operations = 0;
  std::vector<Visits> of_site;

  uint32_t next(uint32_t site) {
    if (site >= of_site.size()) of_site.resize(site + 1);
    Visits& visits = of_site[site];
    if (visits.operations != operations) visits = {operations, 0};
    return visits.count++;
  }
};

using RequestKey = std::array<uint32_t, 4>;  // warp, site, operations, visits
/** Where a block's requests lie, by their keys: a hash table that is emptied in no time. */
class Places {
 public:
  Places() : slots_(1024) {}
  void clear() {
    count_ = 0;
    round_++;
  }
  /** That of the key, which is `next` if it is new. */
  uint32_t find(const RequestKey& key, uint32_t next) {
    if (2 * count_ >= slots_.size()) grow();
    Slot& slot = slot_of(key);
    if (slot.round != round_) {
      slot = {key, next, round_};
      count_++;
    }
    return slot.place;
  }

 private:
  struct Slot {
    RequestKey key{};
    uint32_t place = 0;
    uint64_t round = 0;  // in which it was filled
  };
  Slot& slot_of(const RequestKey& key) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (const uint32_t part : key) hash = (hash ^ part) * 0x100000001B3u;
    size_t i = (hash ^ hash >> 29) % slots_.size();
    while (slots_[i].round == round_ && slots_[i].key != key) i = (i + 1) % slots_.size();
    return slots_[i];
  }
  void grow() {
    std::vector<Slot> before(2 * slots_.size());
    before.swap(slots_);
    for (const Slot& slot : before)
      if (slot.round == round_) slot_of(slot.key) = slot;
  }

  std::vector<Slot> slots_;
  size_t count_ = 0;
  uint64_t round_ = 1;
};

/** A block's requests that may not be whole yet, in the order of their first lanes. */
struct Pending {
  std::vector<Request> requests;
  Places places;
  std::vector<std::array<LaneVisits, kWarpSize>> warps;
};

using SiteKey = std::array<uintptr_t, 3>;  // kind; code, or file and line
struct Counter {
  explicit Counter(size_t cache_bytes) : cache(cache_bytes) {}
  Cache cache;
  uint64_t fills = 0;
  std::vector<Site> sites;
  std::map<SiteKey, uint32_t> numbers;                     // of sites
  std::array<std::pair<SiteKey, uint32_t>, 1024> found{};  // of those lately
  std::array<Pending, kMostClusterBlocks> pending;
};
std::unique_ptr<Counter> g_counter;

uint32_t site_of(Counted kind, void* code, const char* file, int line) {
  const SiteKey key = {static_cast<uintptr_t>(kind),
                       reinterpret_cast<uintptr_t>(file != nullptr ? static_cast<const void*>(file) : code),
                       static_cast<uintptr_t>(line)};
  auto& found = g_counter->found[(key[1] + 31 * key[2] + key[0]) % g_counter->found.size()];
  if (found.first == key) return found.second;
  const auto [number, is_new] = g_counter->numbers.emplace(key, static_cast<uint32_t>(g_counter->sites.size()));
  if (is_new) g_counter->sites.push_back({{kind, file, line, code, 0, 0, 0, 0, 0}});
  found = *number;
  return found.second;
}

void enter(uint32_t site, uintptr_t address, size_t bytes) {
  Pending& pending = g_counter->pending[g_block->rank];
  const unsigned warp = g_current->id / kWarpSize, lane = g_current->lane;
  if (pending.warps.size() <= warp) pending.warps.resize(warp + 1);
  LaneVisits& visits = pending.warps[warp][lane];
  const RequestKey key = {warp, site, visits.operations, visits.next(site)};
  const uint32_t place = pending.places.find(key, static_cast<uint32_t>(pending.requests.size()));
  if (place == pending.requests.size()) {
    pending.requests.emplace_back();
    pending.requests.back().site = site;
  }
  Request& request = pending.requests[place];
  request.lanes |= 1u << lane;
  request.address[lane] = address;
  request.bytes[lane] = static_cast<uint16_t>(bytes);
}

void pass_sectors(Site* site, Sectors* sectors) {
  int bytes = 0;
  for (const auto& [sector, mask] : sectors->parts()) {
    bytes += bits(mask);
    const Counted kind = site->count.kind;
    if (kind != Counted::kStore && kind != Counted::kFill) g_counter->cache.read(sector);
    if (kind == Counted::kStore || kind == Counted::kFill || kind == Counted::kAtomic) g_counter->cache.write(sector, mask);
  }
  site->count.requests++;
  site->count.sectors += sectors->parts().size();
  site->count.least_sectors += divide_up(static_cast<uint64_t>(bytes), kSectorBytes);
}

void pass_banks(Site* site, const Request& request) {
  static std::vector<uint64_t> words;
  const uint16_t widest = *std::max_element(request.bytes.begin(), request.bytes.end());
  const int lanes = widest <= 4 ? 32 : widest <= 8 ? 16 : 8;
  for (int first = 0; first < kWarpSize; first += lanes) {
    words.clear();
    for (int lane = first; lane < first + lanes; lane++) {
      if ((request.lanes >> lane & 1) == 0) continue;
      const auto i = static_cast<size_t>(lane);
      for (uint64_t word = request.address[i] / kWordBytes; word * kWordBytes < request.address[i] + request.bytes[i]; word++)
        words.push_back(word);
    }
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    std::array<uint64_t, kBanks> of_bank{};
    for (const uint64_t word : words) of_bank[word % kBanks]++;
    site->count.wavefronts += *std::max_element(of_bank.begin(), of_bank.end());
    site->count.least_wavefronts += divide_up(words.size(), kBanks);
  }
  site->count.requests++;
}

void pass(const Request& request) {
  static Sectors sectors;
  Site* const site = &g_counter->sites[request.site];
  if (site->shared()) return pass_banks(site, request);
  sectors.clear();
  for (size_t lane = 0; lane < kWarpSize; lane++)
    if ((request.lanes >> lane & 1) != 0) sectors.add(request.address[lane], request.bytes[lane]);
  pass_sectors(site, &sectors);
}

void pass_bytes(Counted kind, uintptr_t address, size_t bytes, const char* file, int line) {
  Sectors sectors;
  sectors.add(address, bytes);
  pass_sectors(&g_counter->sites[site_of(kind, nullptr, file, line)], &sectors);
}

/** Of an access to memory that counts: not to registers, which are the thread's stack here, nor to parameters. */
void count(Access access, uintptr_t address, size_t bytes, void* code, const char* file, int line) {
  const bool shared = shared_region()->contains(address);
  if (!shared && global_region(address) == nullptr) return;
  Counted kind = shared ? Counted::kSharedAtomic : Counted::kAtomic;
  if (access == Access::kRead || access == Access::kAtomicRead) kind = shared ? Counted::kSharedLoad : Counted::kLoad;
  if (access == Access::kWrite) kind = shared ? Counted::kSharedStore : Counted::kStore;
  enter(site_of(kind, code, file, line), address, bytes);
}
}  // namespace

uint64_t Traffic::requests(Counted kind) const {
  uint64_t sum = 0;
  for (const AccessCount& access : accesses) sum += access.kind == kind ? access.requests : 0;
  return sum;
}

void start_counting(size_t cache_bytes) {
  finish_streams();
  g_counter = std::make_unique<Counter>(cache_bytes);
  g_counting = true;
}

Traffic stop_counting() {
  finish_streams();
  g_counting = false;
  g_counter->cache.empty();
  Traffic traffic;
  traffic.read = g_counter->cache.bytes_read();
  traffic.written = g_counter->cache.bytes_written();
  traffic.fills = g_counter->fills;
  for (const Site& site : g_counter->sites) traffic.accesses.push_back(site.count);
  g_counter.reset();
  return traffic;
}

void count_request(Access access, uintptr_t address, size_t bytes, void* code) {
  count(access, address, bytes, code, nullptr, 0);
}

void count_request(Access access, uintptr_t address, size_t bytes, const char* file, int line) {
  count(access, address, bytes, nullptr, file, line);
}

void count_async_copy(uintptr_t target, uintptr_t source, size_t source_bytes, const char* file, int line) {
  constexpr size_t kBytes = 16;
  enter(site_of(Counted::kSharedStore, nullptr, file, line), target, kBytes);
  if (source_bytes != 0) enter(site_of(Counted::kAsyncCopy, nullptr, file, line), source, source_bytes);
}

void count_bulk_row(uintptr_t address, size_t bytes, const char* file, int line) {
  pass_bytes(Counted::kBulkCopy, address, bytes, file, line);
}

void count_fill(uintptr_t address, size_t bytes) {
  g_counter->fills++;
  pass_bytes(Counted::kFill, address, bytes, "cudaMemset", 0);
}

void count_collective(Op op, const void* row, bool whole_warp, const char* file, int line) {
  constexpr size_t kRowBytes = 16;
  if (op == Op::kLdMatrix || op == Op::kLdMatrixTrans)
    enter(site_of(Counted::kMatrixLoad, nullptr, file, line), reinterpret_cast<uintptr_t>(row), kRowBytes);
  if ((op == Op::kMmaBf16 || op == Op::kMmaF16) && g_current->lane == 0)
    g_counter->sites[site_of(Counted::kProduct, nullptr, file, line)].count.requests++;
  std::vector<std::array<LaneVisits, kWarpSize>>& warps = g_counter->pending[g_block->rank].warps;
  const unsigned warp = g_current->id / kWarpSize;
  if (warps.size() <= warp) warps.resize(warp + 1);
  if (whole_warp) warps[warp][g_current->lane].operations++;
}

void count_barrier(const Block& block) {
  Pending& pending = g_counter->pending[block.rank];
  for (const Request& request : pending.requests) pass(request);
  pending.requests.clear();
  pending.places.clear();
  for (auto& warp : pending.warps) {
    uint32_t latest = 0;
    for (const LaneVisits& lane : warp) latest = std::max(latest, lane.operations);
    for (LaneVisits& lane : warp) lane.operations = latest + 1;
  }
}

const char* name(Counted kind) {
  constexpr const char* kNames[] = {"load",        "store",        "atomic",        "cp.async", "bulk copy", "fill",
                                    "shared load", "shared store", "shared atomic", "ldmatrix", "mma"};
  return kNames[static_cast<int>(kind)];
}

std::string place(const AccessCount& access) {
  if (access.file != nullptr) return position(access.file, access.line);
  std::string text;
  for (const std::string& line : lines_of_code(access.code)) text += (text.empty() ? "" : ", ") + line;
  return text;
}
}  // namespace simt
