#include "instructions.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <type_traits>

#include "numbers.h"

namespace ptx {
namespace {
using Table = std::unordered_map<std::string, Execute*>;

// Registers' values.

template <class T>
T value_of(uint64_t bits) {
  if constexpr (std::is_same_v<T, float>)
    return float_of(static_cast<uint32_t>(bits));
  else if constexpr (std::is_same_v<T, double>)
    return double_of(bits);
  else
    return static_cast<T>(bits);
}

template <class T>
uint64_t bits_of(T value) {
  if constexpr (std::is_same_v<T, float>)
    return bits_of_float(value);
  else if constexpr (std::is_same_v<T, double>)
    return bits_of_double(value);
  else
    return static_cast<uint64_t>(value);  // with its sign
}

template <class A, class F>
void unary(const Instruction& code, Warp& warp, uint32_t mask) {
  uint64_t* const d = warp.lanes(code.operands[0]);
  const uint64_t* const a = warp.lanes(code.operands[1]);
  for_lanes(mask, [&](int i) { d[i] = bits_of(F()(value_of<A>(a[i]))); });
}

template <class A, class F>
void binary(const Instruction& code, Warp& warp, uint32_t mask) {
  uint64_t* const d = warp.lanes(code.operands[0]);
  const uint64_t* const a = warp.lanes(code.operands[1]);
  const uint64_t* const b = warp.lanes(code.operands[2]);
  for_lanes(mask, [&](int i) { d[i] = bits_of(F()(value_of<A>(a[i]), value_of<A>(b[i]))); });
}

template <class A, class F>
void ternary(const Instruction& code, Warp& warp, uint32_t mask) {
  uint64_t* const d = warp.lanes(code.operands[0]);
  const uint64_t* const a = warp.lanes(code.operands[1]);
  const uint64_t* const b = warp.lanes(code.operands[2]);
  const uint64_t* const c = warp.lanes(code.operands[3]);
  for_lanes(mask, [&](int i) { d[i] = bits_of(F()(value_of<A>(a[i]), value_of<A>(b[i]), value_of<A>(c[i]))); });
}

// Functions of numbers.

template <class T>
struct Divide {
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>)
      if (b == 0) throw Fault("a division by zero");
    return a / b;
  }
};
template <class T>
struct Remainder {
  T operator()(T a, T b) const {
    if (b == 0) throw Fault("a remainder of a division by zero");
    return a % b;
  }
};
template <class T>
struct Least {
  T operator()(T a, T b) const { return std::min(a, b); }
};
template <class T>
struct Most {
  T operator()(T a, T b) const { return std::max(a, b); }
};
/** Of integers of half the width. */
template <class T>
struct MultiplyWide {
  std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t> operator()(T a, T b) const {
    return std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>{a} * b;
  }
};
template <class T>
struct MultiplyAdd {
  T operator()(T a, T b, T c) const { return a * b + c; }
};
template <class T>
struct Negate {
  T operator()(T a) const { return static_cast<T>(0 - a); }
};
template <class T>
struct Not {
  T operator()(T a) const {
    if constexpr (std::is_same_v<T, bool>)
      return !a;
    else
      return static_cast<T>(~a);
  }
};
template <class T>
struct Fused {
  T operator()(T a, T b, T c) const { return std::fma(a, b, c); }
};
template <class T>
struct Absolute {
  T operator()(T a) const { return std::fabs(a); }
};
template <class T>
struct SquareRoot {
  T operator()(T a) const { return std::sqrt(a); }
};
template <class T>
struct Same {
  T operator()(T a) const { return a; }
};

struct FusedDown {
  float operator()(float a, float b, float c) const { return fused_down(a, b, c); }
};
struct CopySign {
  float operator()(float sign, float value) const { return std::copysign(value, sign); }
};
struct Reciprocal {
  float operator()(float a) const { return 1.0f / a; }
};
struct PowerOfTwo {
  float operator()(float a) const { return flushed(static_cast<float>(std::exp2(double{flushed(a)}))); }
};
struct Saturate {
  float operator()(float a) const { return a > 0.0f ? std::min(a, 1.0f) : 0.0f; }  // 0 of NaN
};
struct FromHalf {
  float operator()(uint16_t bits) const { return value_of_half(bits); }
};
struct FromBfloat16 {
  float operator()(uint16_t bits) const { return value_of_bfloat16(bits); }
};
struct ToHalf {
  uint16_t operator()(float value) const { return half_of(value); }
};
struct ToBfloat16 {
  uint16_t operator()(float value) const { return bfloat16_of(value); }
};
template <class D>
struct Convert {
  template <class S>
  D operator()(S value) const {
    return static_cast<D>(value);
  }
};
/** Towards zero; what the type does not hold becomes its nearest number, NaN 0. */
template <class D>
struct Truncate {
  template <class S>
  D operator()(S value) const {
    if (!(value == value)) return 0;
    if (value <= static_cast<S>(std::numeric_limits<D>::min())) return std::numeric_limits<D>::min();
    if (value >= static_cast<S>(std::numeric_limits<D>::max())) return std::numeric_limits<D>::max();
    return static_cast<D>(value);
  }
};

template <class T>
struct Different {
  bool operator()(T a, T b) const { return std::is_floating_point_v<T> ? a < b || a > b : a != b; }
};
/** True too where one is NaN. */
template <class Opposite>
struct Unordered {
  template <class T>
  bool operator()(T a, T b) const {
    return !Opposite()(a, b);
  }
};

/** Of a T by any number of places. */
template <class T>
void shift_left(const Instruction& code, Warp& warp, uint32_t mask) {
  uint64_t* const d = warp.lanes(code.operands[0]);
  const uint64_t* const a = warp.lanes(code.operands[1]);
  const uint64_t* const b = warp.lanes(code.operands[2]);
  for_lanes(mask, [&](int i) {
    const auto places = static_cast<uint32_t>(b[i]);
    d[i] = places < 8 * sizeof(T) ? bits_of(static_cast<T>(value_of<T>(a[i]) << places)) : 0;
  });
}

template <class T>
void shift_right(const Instruction& code, Warp& warp, uint32_t mask) {
  uint64_t* const d = warp.lanes(code.operands[0]);
  const uint64_t* const a = warp.lanes(code.operands[1]);
  const uint64_t* const b = warp.lanes(code.operands[2]);
  for_lanes(mask, [&](int i) {
    constexpr uint32_t kLast = 8 * sizeof(T) - 1;
    const auto places = static_cast<uint32_t>(b[i]);
    const T value = static_cast<T>(value_of<T>(a[i]) >> std::min(places, kLast));
    d[i] = bits_of(static_cast<T>(std::is_unsigned_v<T> && places > kLast ? 0 : value));
  });
}

template <class T>
void select(const Instruction& code, Warp& warp, uint32_t mask) {
  uint64_t* const d = warp.lanes(code.operands[0]);
  const uint64_t* const a = warp.lanes(code.operands[1]);
  const uint64_t* const b = warp.lanes(code.operands[2]);
  const uint64_t* const predicate = warp.lanes(code.operands[3]);
  for_lanes(mask, [&](int i) { d[i] = bits_of(value_of<T>(predicate[i] != 0 ? a[i] : b[i])); });
}

/** Of one register, or of several that make up one. */
template <class T>
void move(const Instruction& code, Warp& warp, uint32_t mask) {
  const size_t parts = code.operands.size() - 1, width = 8 * sizeof(T) / parts;
  if (parts == 1) return unary<T, Same<T>>(code, warp, mask);
  const uint64_t part_mask = (uint64_t{1} << width) - 1;
  for_lanes(mask, [&](int i) {
    if (code.first_group == 1) {
      uint64_t whole = 0;
      for (size_t part = 0; part < parts; part++)
        whole |= (warp.lanes(code.operands[1 + part])[i] & part_mask) << (part * width);
      warp.lanes(code.operands[0])[i] = whole;
    } else {
      const uint64_t whole = warp.lanes(code.operands[parts])[i];
      for (size_t part = 0; part < parts; part++) warp.lanes(code.operands[part])[i] = whole >> (part * width) & part_mask;
    }
  });
}

void add_and_keep_carry(const Instruction& code, Warp& warp, uint32_t mask) {
  for_lanes(mask, [&](int i) {
    const uint64_t sum = uint64_t{static_cast<uint32_t>(warp.lanes(code.operands[1])[i])} +
                         static_cast<uint32_t>(warp.lanes(code.operands[2])[i]);
    warp.lanes(code.operands[0])[i] = static_cast<uint32_t>(sum);
    warp.carry[static_cast<size_t>(i)] = static_cast<uint32_t>(sum >> 32);
  });
}

void add_carry(const Instruction& code, Warp& warp, uint32_t mask) {
  for_lanes(mask, [&](int i) {
    warp.lanes(code.operands[0])[i] = static_cast<uint32_t>(warp.lanes(code.operands[1])[i] + warp.lanes(code.operands[2])[i] +
                                                            warp.carry[static_cast<size_t>(i)]);
  });
}

/** The second number, whose bits from a place on are the lowest bits of the first: as many as there is room for. */
void insert_bits(const Instruction& code, Warp& warp, uint32_t mask) {
  for_lanes(mask, [&](int i) {
    const auto number = [&](size_t operand) { return static_cast<uint32_t>(warp.lanes(code.operands[operand])[i]); };
    const uint32_t place = number(3) & 0xff, count = number(4) & 0xff;
    const uint64_t replaced = count < 32 ? (uint64_t{1} << count) - 1 : 0xffffffff;
    const uint64_t at = place < 32 ? replaced << place : 0, from = place < 32 ? uint64_t{number(1)} << place : 0;
    warp.lanes(code.operands[0])[i] = static_cast<uint32_t>((number(2) & ~at) | (from & at));
  });
}

/** Each byte of the result is one of eight, or, where its selector has bit 3, that one's sign in all bits. */
struct Permute {
  uint32_t operator()(uint32_t a, uint32_t b, uint32_t selectors) const {
    uint32_t result = 0;
    for (int i = 0; i < 4; i++) {
      const uint32_t selector = selectors >> (4 * i) & 15;
      uint32_t byte = (selector & 4 ? b : a) >> (8 * (selector & 3)) & 0xff;
      if (selector & 8) byte = byte & 0x80 ? 0xff : 0;
      result |= byte << (8 * i);
    }
    return result;
  }
};

// Memory.

uint64_t address_of(const Operand& operand, Warp& warp, int lane) {
  return warp.lanes(operand)[lane] + static_cast<uint64_t>(operand.offset);
}

template <class T>
void load(const Instruction& code, Warp& warp, uint32_t mask) {
  const size_t count = code.first_group;
  for_lanes(mask, [&](int i) {
    const unsigned char* from = warp.memory->at(code.space, address_of(code.operands[count], warp, i), count * sizeof(T));
    for (size_t k = 0; k < count; k++) {
      T value;
      memcpy(&value, from + k * sizeof(T), sizeof value);
      warp.lanes(code.operands[k])[i] = bits_of(value);
    }
  });
}

template <class T>
void store(const Instruction& code, Warp& warp, uint32_t mask) {
  const size_t count = code.operands.size() - 1;
  for_lanes(mask, [&](int i) {
    unsigned char* to = warp.memory->at(code.space, address_of(code.operands[0], warp, i), count * sizeof(T));
    for (size_t k = 0; k < count; k++) {
      const T value = static_cast<T>(warp.lanes(code.operands[1 + k])[i]);
      memcpy(to + k * sizeof(T), &value, sizeof value);
    }
  });
}

template <class T>
void atomic_add(const Instruction& code, Warp& warp, uint32_t mask) {
  for_lanes(mask, [&](int i) {
    unsigned char* const place = warp.memory->at(code.space, address_of(code.operands[1], warp, i), sizeof(T));
    T old;
    memcpy(&old, place, sizeof old);
    const T sum = old + static_cast<T>(warp.lanes(code.operands[2])[i]);
    memcpy(place, &sum, sizeof sum);
    warp.lanes(code.operands[0])[i] = old;
  });
}

constexpr size_t kCopyBytes = 16;

/** What the copy will fill holds NaNs until its thread has waited. */
void copy_async(const Instruction& code, Warp& warp, uint32_t mask) {
  for_lanes(mask, [&](int i) {
    const uint64_t to = address_of(code.operands[0], warp, i), from = address_of(code.operands[1], warp, i);
    const auto bytes = static_cast<uint32_t>(warp.lanes(code.operands[3])[i]);
    if (bytes > kCopyBytes) throw Fault("cp.async of more than 16 bytes");
    memset(warp.memory->at(Space::kShared, to, kCopyBytes), 0xff, kCopyBytes);
    warp.open_group[static_cast<size_t>(i)].push_back({to, from, bytes});
  });
}

void commit_group(const Instruction&, Warp& warp, uint32_t mask) {
  for_lanes(mask, [&](int i) {
    const auto lane = static_cast<size_t>(i);
    warp.groups[lane].push_back(std::move(warp.open_group[lane]));
    warp.open_group[lane].clear();
  });
}

void wait_group(const Instruction& code, Warp& warp, uint32_t mask) {
  const size_t pending = warp.lanes(code.operands[0])[0];
  for_lanes(mask, [&](int i) {
    auto& groups = warp.groups[static_cast<size_t>(i)];
    const size_t done = groups.size() > pending ? groups.size() - pending : 0;
    for (size_t group = 0; group < done; group++)
      for (const Copy& copy : groups[group]) {
        unsigned char* const to = warp.memory->at(Space::kShared, copy.to, kCopyBytes);
        memset(to, 0, kCopyBytes);
        if (copy.bytes == 0) continue;
        memcpy(to, warp.memory->at(Space::kGlobal, copy.from, copy.bytes, kCopyBytes), copy.bytes);
      }
    groups.erase(groups.begin(), groups.begin() + static_cast<ptrdiff_t>(done));
  });
}

// What lanes do together.

enum class Shuffle { kUp, kDown, kButterfly, kIndex };

/** d|p, a, b, c, members: as the PTX manual defines it by segments of the warp. */
template <Shuffle kKind>
void shuffle(const Instruction& code, Warp& warp, uint32_t mask) {
  const bool with_predicate = code.first_group == 2;
  const Operand* const operands = code.operands.data() + code.first_group;
  const uint64_t* const a = warp.lanes(operands[0]);
  uint32_t result[kLanes];
  bool within[kLanes];
  for_lanes(mask, [&](int i) {
    const auto lane = static_cast<uint32_t>(i);
    const uint32_t b = static_cast<uint32_t>(warp.lanes(operands[1])[i]) & 31;
    const auto bounds = static_cast<uint32_t>(warp.lanes(operands[2])[i]);
    const uint32_t clamp = bounds & 31, segment = bounds >> 8 & 31;
    const uint32_t most = (lane & segment) | (clamp & ~segment), least = lane & segment;
    uint32_t source = lane;
    if (kKind == Shuffle::kUp) source = lane - b;
    if (kKind == Shuffle::kDown) source = lane + b;
    if (kKind == Shuffle::kButterfly) source = lane ^ b;
    if (kKind == Shuffle::kIndex) source = least | (b & ~segment);
    within[i] = kKind == Shuffle::kUp ? static_cast<int>(source) >= static_cast<int>(most) : source <= most;
    if (!within[i]) source = lane;
    if ((mask >> source & 1) == 0) throw Fault("a shuffle reads a lane that its mask does not name");
    result[i] = static_cast<uint32_t>(a[source]);
  });
  for_lanes(mask, [&](int i) {
    warp.lanes(code.operands[0])[i] = result[i];
    if (with_predicate) warp.lanes(code.operands[1])[i] = within[i];
  });
}

/** Lanes 8m to 8m + 7 name the rows of matrix m; lane i gets the elements 2i and 2i + 1 of each, along rows or columns. */
template <bool kTransposed>
void load_matrices(const Instruction& code, Warp& warp, uint32_t) {
  const unsigned char* rows[kLanes];
  for (int lane = 0; lane < kLanes; lane++)
    rows[lane] = warp.memory->at(Space::kShared, address_of(code.operands[4], warp, lane), 16);
  for (int matrix = 0; matrix < 4; matrix++)
    for (int lane = 0; lane < kLanes; lane++) {
      uint16_t pair[2];
      for (int k = 0; k < 2; k++) {
        const int across = lane / 4, along = lane % 4 * 2 + k;
        const int row = kTransposed ? along : across, column = kTransposed ? across : along;
        memcpy(&pair[k], rows[8 * matrix + row] + 2 * column, sizeof pair[k]);
      }
      warp.lanes(code.operands[static_cast<size_t>(matrix)])[lane] = pair[0] | uint32_t{pair[1]} << 16;
    }
}

/** The 16-bit element of a lane's registers. */
float element(const Instruction& code, Warp& warp, size_t first, int lane, int number, float (*value)(uint16_t)) {
  const uint64_t pair = warp.lanes(code.operands[first + static_cast<size_t>(number / 2)])[lane];
  return value(static_cast<uint16_t>(pair >> (number % 2 * 16)));
}

/** D = A B + C: d, a, b, c of 4, 4, 2 and 4 registers. Lane 4g + t has rows g and g + 8, and columns 2t and 2t + 1. */
template <float (*kValue)(uint16_t)>
void multiply_matrices(const Instruction& code, Warp& warp, uint32_t) {
  constexpr size_t kA = 4, kB = 8, kC = 10;
  float a[16][16], b[16][8];
  for (int lane = 0; lane < kLanes; lane++) {
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 8; i++) a[g + (i & 2) * 4][2 * t + (i & 1) + (i & 4) * 2] = element(code, warp, kA, lane, i, kValue);
    for (int i = 0; i < 4; i++) b[2 * t + (i & 1) + (i & 2) * 4][g] = element(code, warp, kB, lane, i, kValue);
  }
  float sums[16][8] = {};
  for (int row = 0; row < 16; row++)
    for (int k = 0; k < 16; k++)
      for (int column = 0; column < 8; column++) sums[row][column] += a[row][k] * b[k][column];
  for (int lane = 0; lane < kLanes; lane++) {
    float d[4];
    for (size_t i = 0; i < 4; i++)
      d[i] = value_of<float>(warp.lanes(code.operands[kC + i])[lane]) + sums[lane / 4 + (i & 2) * 4][lane % 4 * 2 + (i & 1)];
    for (size_t i = 0; i < 4; i++) warp.lanes(code.operands[i])[lane] = bits_of(d[i]);
  }
}

void nothing(const Instruction&, Warp&, uint32_t) {}

// The table.

template <class T>
std::string type_name() {
  if constexpr (std::is_same_v<T, bool>) return ".pred";
  const char kind = std::is_floating_point_v<T> ? 'f' : std::is_signed_v<T> ? 's' : 'u';
  return std::string(".") + kind + std::to_string(8 * sizeof(T));
}

/** Under the type's name and, of unsigned ones, as bits. */
template <class T>
void put(Table* table, const std::string& name, Execute* execute) {
  const std::string type = type_name<T>();
  (*table)[name + type] = execute;
  if (type[1] == 'u') (*table)[name + ".b" + type.substr(2)] = execute;
}

template <template <class> class F, class... Types>
void put_unary(Table* table, const std::string& name) {
  (put<Types>(table, name, unary<Types, F<Types>>), ...);
}
template <template <class> class F, class... Types>
void put_binary(Table* table, const std::string& name) {
  (put<Types>(table, name, binary<Types, F<Types>>), ...);
}
template <template <class> class F, class... Types>
void put_ternary(Table* table, const std::string& name) {
  (put<Types>(table, name, ternary<Types, F<Types>>), ...);
}

template <class D, class... Sources>
void put_conversions(Table* table) {
  (((*table)["cvt" + type_name<D>() + type_name<Sources>()] = unary<Sources, Convert<D>>), ...);
}
template <class D, class... Sources>
void put_rounding(Table* table) {
  (((*table)["cvt.rn" + type_name<D>() + type_name<Sources>()] = unary<Sources, Convert<D>>), ...);
}
template <class S, class... Targets>
void put_truncation(Table* table) {
  (((*table)["cvt.rzi" + type_name<Targets>() + type_name<S>()] = unary<S, Truncate<Targets>>), ...);
}

void put_arithmetic(Table* table) {
  using u16 = uint16_t;
  using u32 = uint32_t;
  using u64 = uint64_t;
  using s16 = int16_t;
  using s32 = int32_t;
  using s64 = int64_t;
  put_binary<std::plus, u16, u32, u64, float, double>(table, "add");
  put_binary<std::minus, u16, u32, u64, float, double>(table, "sub");
  put_binary<std::multiplies, float, double>(table, "mul");
  put_binary<std::multiplies, u32, u64>(table, "mul.lo");
  for (const char* name : {"add", "sub", "mul.lo"})  // signs do not matter
    for (const char* width : {"16", "32", "64"}) {
      const auto of_unsigned = table->find(std::string(name) + ".u" + width);
      if (of_unsigned != table->end()) (*table)[std::string(name) + ".s" + width] = of_unsigned->second;
    }
  put_binary<std::plus, float, double>(table, "add.rn");  // not to be fused, as nothing is here
  put_binary<std::minus, float, double>(table, "sub.rn");
  put_binary<std::multiplies, float, double>(table, "mul.rn");
  put_binary<MultiplyWide, u32, s32>(table, "mul.wide");
  put_ternary<MultiplyAdd, u32, u64>(table, "mad.lo");
  (*table)["mad.lo.s32"] = (*table)["mad.lo.u32"];
  (*table)["mad.lo.s64"] = (*table)["mad.lo.u64"];
  put_binary<Divide, u32, u64, s32, s64>(table, "div");
  put_binary<Divide, float, double>(table, "div.rn");
  put_binary<Remainder, u32, u64, s32, s64>(table, "rem");
  put_binary<Least, u32, u64, s32, s64>(table, "min");
  put_binary<Most, u32, u64, s32, s64>(table, "max");
  put_binary<std::bit_and, bool, u16, u32, u64>(table, "and");
  put_binary<std::bit_or, bool, u16, u32, u64>(table, "or");
  put_binary<std::bit_xor, bool, u16, u32, u64>(table, "xor");
  put_unary<Not, bool, u16, u32, u64>(table, "not");
  put_unary<Negate, s16, s32, s64>(table, "neg");
  put_unary<std::negate, float, double>(table, "neg");
  put_unary<Absolute, float, double>(table, "abs");
  put_unary<SquareRoot, float, double>(table, "sqrt.rn");
  put_ternary<Fused, float, double>(table, "fma.rn");
  (*table)["fma.rm.f32"] = ternary<float, FusedDown>;
  (*table)["copysign.f32"] = binary<float, CopySign>;
  (*table)["rcp.rn.f32"] = unary<float, Reciprocal>;
  (*table)["ex2.approx.ftz.f32"] = unary<float, PowerOfTwo>;
  (*table)["prmt.b32"] = ternary<u32, Permute>;
  (*table)["bfi.b32"] = insert_bits;
  (*table)["add.cc.u32"] = add_and_keep_carry;
  (*table)["addc.u32"] = add_carry;
  put<u16>(table, "shl", shift_left<u16>);
  put<u32>(table, "shl", shift_left<u32>);
  put<u64>(table, "shl", shift_left<u64>);
  put<u16>(table, "shr", shift_right<u16>);
  put<u32>(table, "shr", shift_right<u32>);
  put<u64>(table, "shr", shift_right<u64>);
  put<s16>(table, "shr", shift_right<s16>);
  put<s32>(table, "shr", shift_right<s32>);
  put<s64>(table, "shr", shift_right<s64>);
}

template <class... Types>
void put_comparisons(Table* table) {
  put_binary<std::equal_to, Types...>(table, "setp.eq");
  put_binary<Different, Types...>(table, "setp.ne");
  put_binary<std::less, Types...>(table, "setp.lt");
  put_binary<std::less_equal, Types...>(table, "setp.le");
  put_binary<std::greater, Types...>(table, "setp.gt");
  put_binary<std::greater_equal, Types...>(table, "setp.ge");
}

template <class T>
void put_unordered(Table* table) {
  put<T>(table, "setp.equ", binary<T, Unordered<Different<T>>>);
  put<T>(table, "setp.neu", binary<T, Unordered<std::equal_to<T>>>);
  put<T>(table, "setp.ltu", binary<T, Unordered<std::greater_equal<T>>>);
  put<T>(table, "setp.leu", binary<T, Unordered<std::greater<T>>>);
  put<T>(table, "setp.gtu", binary<T, Unordered<std::less_equal<T>>>);
  put<T>(table, "setp.geu", binary<T, Unordered<std::less<T>>>);
}

template <class... Types>
void put_moves(Table* table) {
  (put<Types>(table, "selp", select<Types>), ...);
  (put<Types>(table, "mov", move<Types>), ...);
}

template <class... Targets>
void put_conversions_to(Table* table) {
  (put_conversions<Targets, uint8_t, uint16_t, uint32_t, uint64_t, int8_t, int16_t, int32_t, int64_t>(table), ...);
}

Table make_table() {
  Table table;
  put_arithmetic(&table);
  put_comparisons<uint16_t, uint32_t, uint64_t, int16_t, int32_t, int64_t, float, double>(&table);
  put_unordered<float>(&table);
  put_unordered<double>(&table);
  put_moves<bool, uint16_t, uint32_t, uint64_t, int16_t, int32_t, int64_t, float, double>(&table);
  put_conversions_to<uint8_t, uint16_t, uint32_t, uint64_t, int8_t, int16_t, int32_t, int64_t>(&table);
  put_rounding<float, uint16_t, uint32_t, uint64_t, int16_t, int32_t, int64_t, double>(&table);
  put_rounding<double, uint16_t, uint32_t, uint64_t, int16_t, int32_t, int64_t>(&table);
  put_truncation<float, uint32_t, uint64_t, int32_t, int64_t>(&table);
  put_truncation<double, uint32_t, uint64_t, int32_t, int64_t>(&table);
  table["cvt.f64.f32"] = unary<float, Convert<double>>;
  table["cvt.sat.f32.f32"] = unary<float, Saturate>;
  table["cvt.f32.f16"] = unary<uint16_t, FromHalf>;
  table["cvt.f32.bf16"] = unary<uint16_t, FromBfloat16>;
  table["cvt.rn.f16.f32"] = unary<float, ToHalf>;
  table["cvt.rn.bf16.f32"] = unary<float, ToBfloat16>;
  table["cvta.to.global.u64"] = unary<uint64_t, Same<uint64_t>>;  // the generic address of global memory is the same
  table["cp.async.cg.shared.global"] = copy_async;
  table["cp.async.commit_group"] = commit_group;
  table["cp.async.wait_group"] = wait_group;
  table["fence.acq_rel.gpu"] = nothing;
  table["shfl.sync.up.b32"] = shuffle<Shuffle::kUp>;
  table["shfl.sync.down.b32"] = shuffle<Shuffle::kDown>;
  table["shfl.sync.bfly.b32"] = shuffle<Shuffle::kButterfly>;
  table["shfl.sync.idx.b32"] = shuffle<Shuffle::kIndex>;
  table["ldmatrix.sync.aligned.m8n8.x4.shared.b16"] = load_matrices<false>;
  table["ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16"] = load_matrices<true>;
  table["mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"] = multiply_matrices<value_of_bfloat16>;
  table["mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"] = multiply_matrices<value_of_half>;
  for (const char* name : {"bra", "bra.uni", "ret", "bar.sync"}) table[name] = nothing;  // the machine's
  return table;
}

/** ld, st and atom by their type. */
Execute* memory_access(const std::string& operation, const std::string& type) {
  static const Table kAccesses = [] {
    Table table;
    put<uint8_t>(&table, "ld", load<uint8_t>);
    put<uint16_t>(&table, "ld", load<uint16_t>);
    put<uint32_t>(&table, "ld", load<uint32_t>);
    put<uint64_t>(&table, "ld", load<uint64_t>);
    put<int8_t>(&table, "ld", load<int8_t>);
    put<int16_t>(&table, "ld", load<int16_t>);
    put<int32_t>(&table, "ld", load<int32_t>);
    put<int64_t>(&table, "ld", load<int64_t>);
    put<float>(&table, "ld", load<uint32_t>);
    put<double>(&table, "ld", load<uint64_t>);
    put<uint8_t>(&table, "st", store<uint8_t>);
    put<uint16_t>(&table, "st", store<uint16_t>);
    put<uint32_t>(&table, "st", store<uint32_t>);
    put<uint64_t>(&table, "st", store<uint64_t>);
    put<float>(&table, "st", store<uint32_t>);
    put<double>(&table, "st", store<uint64_t>);
    put<uint32_t>(&table, "atom", atomic_add<uint32_t>);
    put<uint64_t>(&table, "atom", atomic_add<uint64_t>);
    return table;
  }();
  const auto at = kAccesses.find(operation + type);
  return at == kAccesses.end() ? nullptr : at->second;
}

bool starts_with(const std::string& text, const char* start) {
  return text.compare(0, strlen(start), start) == 0;
}
}  // namespace

void decode(Instruction* instruction) {
  static const Table kTable = make_table();
  const std::string& text = instruction->text;
  const bool adds = starts_with(text, "atom.") && text.find(".add.") != std::string::npos;
  if (starts_with(text, "ld.") || starts_with(text, "st.") || adds) {
    for (const auto& [name, space] :
         {std::pair{".global.", Space::kGlobal}, {".shared.", Space::kShared}, {".param.", Space::kParameter}})
      if (text.find(name) != std::string::npos) instruction->space = space;
    instruction->execute = memory_access(text.substr(0, text.find('.')), text.substr(text.rfind('.')));
  } else {
    const auto at = kTable.find(text);
    if (at != kTable.end()) instruction->execute = at->second;
  }
  if (instruction->execute == nullptr) throw Fault("unknown instruction: " + text);
  if (starts_with(text, "bra")) instruction->flow = Flow::kBranch;
  if (text == "ret") instruction->flow = Flow::kReturn;
  if (text == "bar.sync") instruction->flow = Flow::kBarrier;
  if (starts_with(text, "shfl.") || starts_with(text, "mma.") || starts_with(text, "ldmatrix."))
    instruction->flow = Flow::kWarp;
}
}  // namespace ptx
