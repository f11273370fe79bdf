// Tests of the interpreter of PTX, by kernels written for it: what instructions give, threads that part and meet, and faults.
#include <cfenv>
#include <cstdio>
#include <functional>
#include <random>
#include <vector>

#include "float16.h"
#include "machine.h"
#include "numbers.h"

namespace {
int g_failures = 0;
std::mt19937 g_random(1);

void expect(bool ok, const std::string& fact) {
  if (ok) return;
  printf("FAILED: %s\n", fact.c_str());
  g_failures++;
}

/** A kernel with the parameter [to], an address in %to, and the thread's number in %tid.x; %at is to + 8 thread. */
std::string kernel(const std::string& body) {
  return ".visible .entry test(\n  .param .u64 to\n)\n{\n.reg .b64 %rd<9>;\n"
         "ld.param.u64 %to, [to];\nmul.wide.u32 %rd1, %tid.x, 8;\nadd.s64 %at, %to, %rd1;\n" +
         body + "\nret;\n}\n";
}

/** What it leaves in eight bytes a thread, which it finds as `values`. */
std::vector<uint64_t> run(const std::string& body, std::vector<uint64_t> values, size_t shared_bytes = 0) {
  ptx::Program program;
  program.add(".extern .shared .align 128 .b8 memory[];\n" + kernel(body));
  const uint64_t* to = values.data();
  const auto begin = reinterpret_cast<uintptr_t>(to);
  const auto threads = static_cast<unsigned>(values.size());
  ptx::run(*program.find("test"),
           {{1, 1, 1}, {threads, 1, 1}, shared_bytes, {{&to, sizeof to}}, {{begin, begin + 8 * threads}}});
  return values;
}

uint64_t run_one(const std::string& body, uint64_t value = 0) {
  return run(body, {value})[0];
}

/** d of an instruction "name d, a..." whose operands are numbers, stored as 64 bits. */
uint64_t result(const std::string& instruction) {
  const size_t name = instruction.find(' ');
  return run_one(instruction.substr(0, name) + " %d, " + instruction.substr(name) + ";\nst.global.u64 [%at], %d;");
}

std::string bits(float value) {
  char text[20];
  snprintf(text, sizeof text, "0f%08x", ptx::bits_of_float(value));
  return text;
}

void expect_fault(const std::string& fault, const std::function<void()>& action) {
  std::string got = "none";
  try {
    action();
  } catch (const ptx::Fault& caught) {
    got = caught.what();
  }
  expect(got.find(fault) != std::string::npos, "the fault is \"" + fault + "\", not \"" + got + "\"");
}

void test_integers() {
  const std::pair<const char*, uint64_t> kResults[] = {
      {"add.s32 -3, 5", 2},
      {"sub.s64 3, 5", ~uint64_t{1}},
      {"mul.wide.s32 -2, 1000000000", static_cast<uint64_t>(-2000000000LL)},
      {"mul.wide.u32 0xffffffff, 0xffffffff", 0xfffffffe00000001},
      {"mul.lo.s64 0x100000001, 0x100000001", 0x200000001},
      {"mad.lo.s32 7, 8, -6", 50},
      {"div.s64 -7, 2", static_cast<uint64_t>(-3)},
      {"rem.s32 -7, 2", static_cast<uint64_t>(-1)},
      {"div.u32 0xfffffff9, 2", 0x7ffffffc},
      {"min.s64 -1, 1", ~uint64_t{0}},
      {"max.s32 -1, 1", 1},
      {"shl.b32 1, 31", 0x80000000},
      {"shl.b32 1, 32", 0},
      {"shl.b64 1, 32", uint64_t{1} << 32},
      {"shr.u32 0x80000000, 31", 1},
      {"shr.u32 0x80000000, 40", 0},
      {"shr.s32 0x80000000, 40", ~uint64_t{0}},
      {"not.b32 0", 0xffffffff},
      {"neg.s32 5", static_cast<uint64_t>(-5)},
      {"cvt.s16.s8 0x80", static_cast<uint64_t>(-128)},
      {"cvt.u32.u16 0x18000", 0x8000},
      {"cvt.s64.s32 0x80000000", 0xffffffff80000000},
      {"cvt.u32.u64 0x1234567890", 0x34567890},
      {"prmt.b32 0x44332211, 0x88776655, 0x7531", 0x88664422},
      {"prmt.b32 0x00800080, 0, 0xba98", 0x00ff00ff},
      {"bfi.b32 0xffffff25, 0x87654321, 8, 12", 0x876f2521},
      {"bfi.b32 0xabcdef12, 0x87654321, 24, 12", 0x12654321},
      {"bfi.b32 0xabcdef12, 0x87654321, 32, 8", 0x87654321},
      {"bfi.b32 0xabcdef12, 0x87654321, 4, 0", 0x87654321},
      {"bfi.b32 0xabcdef12, 0x87654321, 0, 32", 0xabcdef12},
      {"cvt.rzi.u64.f64 0dc000000000000000", 0},
      {"cvt.rzi.u64.f64 0d4007ffffffffffff", 2},
  };
  for (const auto& [instruction, wanted] : kResults) expect(result(instruction) == wanted, instruction);
  expect(run_one("add.cc.u32 %a, 0x80000000, 0x80000000;\naddc.u32 %b, 3, 3;\nst.global.u32 [%at], %b;") == 7, "a carry");
  expect(run_one("mov.b64 {%a, %b}, 0x100000002;\nmov.b64 %d, {%b, %a};\nst.global.u64 [%at], %d;") == 0x200000001,
         "registers of parts");
  expect(run_one("ld.global.s8 %d, [%at+1];\nst.global.u64 [%at], %d;", 0x8000) == static_cast<uint64_t>(-128), "ld.s8");
  expect(run_one("st.global.v4.u8 [%at+4], {1, 2, 3, 0x104};") == 0x0403020100000000, "a vector store");
}

void test_floats() {
  const float kSpecial[] = {0.0f,     -0.0f,     1.5f, -3e38f,   1e-40f,   -1e-45f,
                            INFINITY, -INFINITY, NAN,  65519.0f, 65520.0f, 3.3895e38f};
  for (int i = 0; i < 100000; i++) {
    const float value = i < 12 ? kSpecial[i] : ptx::float_of(g_random());
    expect(ptx::half_of(value) == simt::half_bits(value), "half of " + bits(value));
    expect(ptx::bfloat16_of(value) == simt::bfloat16_bits(value), "bfloat16 of " + bits(value));
    if (value == 0 || !std::isfinite(value)) continue;
    const float near = std::ldexp(value, -ilogbf(value) - 15);  // halves are subnormal around there
    if (std::isfinite(near)) expect(ptx::half_of(near) == simt::half_bits(near), "half of " + bits(near));
  }
  for (uint32_t half = 0; half < 65536; half++) {
    const float value = ptx::value_of_half(static_cast<uint16_t>(half)), other = simt::half_value(static_cast<uint16_t>(half));
    expect(value != value ? other != other : ptx::bits_of_float(value) == ptx::bits_of_float(other), "the value of a half");
  }
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (int i = 0; i < 10000; i++) {
    const float a = uniform(g_random), b = uniform(g_random), c = std::ldexp(uniform(g_random), -i % 60);
    volatile float x = a, y = b, z = c;
    std::fesetround(FE_DOWNWARD);
    volatile float down = std::fma(x, y, z);
    std::fesetround(FE_TONEAREST);
    expect(ptx::fused_down(a, b, c) == down, "fma.rm of " + bits(a) + ", " + bits(b) + ", " + bits(c));
  }
  const auto of = [](float value) { return uint64_t{ptx::bits_of_float(value)}; };
  const std::pair<std::string, uint64_t> kResults[] = {
      {"fma.rn.f32 " + bits(1 + 0x1p-23f) + ", " + bits(1 - 0x1p-23f) + ", " + bits(-1), of(-0x1p-46f)},
      {"div.rn.f32 " + bits(1) + ", " + bits(3), of(1.0f / 3)},
      {"copysign.f32 " + bits(-2) + ", " + bits(3), of(-3)},
      {"cvt.sat.f32.f32 " + bits(-2), 0},
      {"cvt.sat.f32.f32 " + bits(2), of(1)},
      {"cvt.sat.f32.f32 " + bits(NAN), 0},
      {"ex2.approx.ftz.f32 " + bits(-3), of(0.125f)},
      {"ex2.approx.ftz.f32 " + bits(-127), 0},
      {"cvt.rn.f32.s64 -16777217", of(-16777216.0f)},
      {"abs.f32 " + bits(-2), of(2)},
  };
  for (const auto& [instruction, wanted] : kResults) expect(result(instruction) == wanted, instruction);
  const std::pair<const char*, bool> kOfNan[] = {{"eq", false}, {"ne", false}, {"lt", false}, {"ge", false},
                                                 {"neu", true}, {"ltu", true}, {"geu", true}, {"equ", true}};
  for (const auto& [comparison, wanted] : kOfNan)
    expect(result(std::string("setp.") + comparison + ".f32 " + bits(NAN) + ", " + bits(1)) == wanted, comparison);
}

void test_threads() {
  // Each thread makes as many rounds as its number; then all shuffle, and exchange values of shared memory across warps.
  const std::vector<uint64_t> got = run(R"(
    mov.u32 %n, 0;
    mov.u32 %sum, 0;
  $again:
    setp.ge.u32 %p, %n, %tid.x;
    @%p bra $met;
    add.u32 %n, %n, 1;
    add.u32 %sum, %sum, %n;
    bra.uni $again;
  $met:
    shfl.sync.down.b32 %below|%q, %sum, 1, 31, -1;
    @!%q mov.u32 %below, 1000;
    mul.lo.u32 %place, %tid.x, 4;
    mov.u32 %base, memory;
    add.u32 %place, %place, %base;
    st.shared.u32 [%place], %below;
    bar.sync 0;
    sub.u32 %other, 63, %tid.x;
    shl.b32 %other, %other, 2;
    ld.shared.u32 %got, [%other];
    st.global.u64 [%at], %got;)",
                                        std::vector<uint64_t>(64), 256);
  for (uint64_t i = 0; i < 64; i++) {
    const uint64_t from = 63 - i, wanted = from % 32 == 31 ? 1000 : (from + 1) * (from + 2) / 2;
    expect(got[i] == wanted, "thread " + std::to_string(i) + " has " + std::to_string(got[i]));
  }
  // One half of the warp shuffles, the other has parted.
  const std::vector<uint64_t> halves = run(R"(
    setp.lt.u32 %p, %tid.x, 16;
    @%p bra $low;
    ret;
  $low:
    shfl.sync.bfly.b32 %d, %tid.x, 3, 31, 0xffff;
    st.global.u64 [%at], %d;)",
                                           std::vector<uint64_t>(32));
  for (uint64_t i = 0; i < 32; i++) expect(halves[i] == (i < 16 ? i ^ 3 : 0), "a shuffle of half a warp");
  const std::vector<uint64_t> counts = run("atom.global.add.u64 %d, [%to], 1;", std::vector<uint64_t>(70));
  expect(counts[0] == 70, "an atomic of each thread");
}

void test_copies() {
  const std::string copy =
      "mov.u32 %s, memory;\nst.shared.v2.u64 [%s], {7, 7};\n"
      "cp.async.cg.shared.global [%s], [%to], 16, 6;\ncp.async.commit_group;\n";
  const std::string read = "ld.shared.u64 %d, [%s];\nst.global.u64 [%to], %d;";
  const std::vector<uint64_t> values = {0x1122334455667788, 5};
  expect(
      run("setp.ne.u32 %p, %tid.x, 0;\n@%p ret;\n" + copy + "cp.async.wait_group 0;\n" + read, values, 16)[0] == 0x334455667788,
      "a copy of 6 bytes");
  expect(
      run("setp.ne.u32 %p, %tid.x, 0;\n@%p ret;\n" + copy + "cp.async.wait_group 1;\n" + read, values, 16)[0] == ~uint64_t{0},
      "a copy that nobody has waited for");
}

void test_faults() {
  expect_fault("outside of every buffer", [] { run_one("st.global.u32 [%at+8], 1;"); });
  expect_fault("past a buffer's end", [] { run_one("ld.global.v2.u64 {%a, %b}, [%at];"); });
  expect_fault("misaligned", [] { run_one("ld.global.u32 %d, [%at+2];"); });
  expect_fault("outside of shared memory", [] { run_one("mov.u32 %s, memory;\nst.shared.u32 [%s+4], 1;"); });
  expect_fault("outside of the parameters", [] { run_one("ld.param.u32 %d, [to+8];"); });
  expect_fault("division by zero", [] { run_one("div.u32 %d, 1, 0;"); });
  expect_fault("unknown instruction: sin.approx.f32", [] { run_one("sin.approx.f32 %d, 1;"); });
  expect_fault("unknown operand", [] { run_one("mov.u32 %d, elsewhere;"); });
  expect_fault("unknown special register", [] { run_one("mov.u32 %d, %clock.x;"); });
  expect_fault("a loop does not end", [] { run_one("$here:\nbra $here;"); });
  const std::string half = "setp.lt.u32 %p, %tid.x, 16;\n";
  expect_fault("do not come to", [&] { run(half + "@%p bar.sync 0;", std::vector<uint64_t>(32)); });
  expect_fault("lanes that have left",
               [&] { run(half + "@%p ret;\nshfl.sync.idx.b32 %d, 1, 0, 31, -1;", std::vector<uint64_t>(32)); });
  expect_fault("its mask does not name",
               [&] { run(half + "@!%p ret;\nshfl.sync.idx.b32 %d, 1, 20, 31, 0xffff;", std::vector<uint64_t>(32)); });
  expect_fault("other parameters", [] {
    ptx::Program program;
    program.add(kernel(""));
    ptx::run(*program.find("test"), {{1, 1, 1}, {1, 1, 1}, 0, {}, {}});
  });
}
}  // namespace

int main() {
  test_integers();
  test_floats();
  test_threads();
  test_copies();
  test_faults();
  printf("%s\n", g_failures == 0 ? "passed" : "FAILED");
  return g_failures != 0;
}
