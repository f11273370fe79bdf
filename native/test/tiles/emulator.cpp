#include "tiles/emulator.h"

#include <atomic>
#include <cfloat>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace prunepeft {
namespace emulated {
namespace {

constexpr int kTiles = 8, kRows = 16, kRowBytes = 64;

struct Tile {
  int rows, row_bytes;
  unsigned char bytes[kRows][kRowBytes];
};

struct Registers {
  bool configured = false;
  Tile tiles[kTiles] = {};
};

thread_local Registers registers;
std::atomic<int64_t> multiplication_count{0}, configured_count{0};

[[noreturn]] void fault(const char* what) {
  std::fprintf(stderr, "emulated tiles: %s\n", what);
  std::abort();
}

Tile& shaped(int number) {
  if (!registers.configured) fault("used before they were configured");
  if (number < 0 || number >= kTiles) fault("no such register");
  Tile& tile = registers.tiles[number];
  if (tile.rows == 0) fault("a register without a shape was used");
  return tile;
}

/** Denormal numbers count as zero, and become zero. */
float flush(float value) {
  return std::fabs(value) < FLT_MIN ? std::copysign(0.0f, value) : value;
}

/** A bfloat16, the high half of a float32. */
float element(const Tile& tile, int row, int column) {
  uint16_t half;
  std::memcpy(&half, &tile.bytes[row][2 * column], sizeof half);
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return flush(value);
}

}  // namespace

void configure(const void* shapes) {
  unsigned char bytes[64];
  std::memcpy(bytes, shapes, sizeof bytes);
  if (bytes[0] != 1) fault("the palette is not 1");
  if (bytes[1] != 0) fault("a start row: that of an interrupted load");
  for (int i = 2; i < 16; ++i) {
    if (bytes[i] != 0) fault("a reserved byte is not 0");
  }
  Registers fresh;
  for (int i = 0; i < 16; ++i) {
    uint16_t row_bytes;
    std::memcpy(&row_bytes, bytes + 16 + 2 * i, sizeof row_bytes);
    const int rows = bytes[48 + i];
    if (i >= kTiles && (rows != 0 || row_bytes != 0)) fault("a shape for a register that palette 1 lacks");
    if (rows > kRows || row_bytes > kRowBytes) fault("a shape is too large");
    if ((rows == 0) != (row_bytes == 0)) fault("a shape has rows without bytes, or bytes without rows");
    if (i < kTiles) {
      fresh.tiles[i].rows = rows;
      fresh.tiles[i].row_bytes = row_bytes;
    }
  }
  fresh.configured = true;
  if (!registers.configured) ++configured_count;
  registers = fresh;
}

void release() {
  if (registers.configured) --configured_count;
  registers = Registers();
}

void zero(int tile) {
  std::memset(shaped(tile).bytes, 0, sizeof Tile::bytes);
}

void load(int number, const void* p, int64_t stride) {
  Tile& tile = shaped(number);
  zero(number);
  for (int i = 0; i < tile.rows; ++i) {
    std::memcpy(tile.bytes[i], static_cast<const char*>(p) + i * stride, static_cast<size_t>(tile.row_bytes));
  }
}

void store(int number, void* p, int64_t stride) {
  const Tile& tile = shaped(number);
  for (int i = 0; i < tile.rows; ++i) {
    std::memcpy(static_cast<char*>(p) + i * stride, tile.bytes[i], static_cast<size_t>(tile.row_bytes));
  }
}

void multiply_pairs(int sums, int rows, int columns) {
  Tile& c = shaped(sums);
  const Tile &a = shaped(rows), &b = shaped(columns);
  if (sums == rows || sums == columns || rows == columns) fault("a register twice in one multiplication");
  if (a.row_bytes % 4 != 0 || b.row_bytes % 4 != 0 || c.row_bytes % 4 != 0) fault("a row is not whole pairs or sums");
  if (c.rows != a.rows || c.row_bytes != b.row_bytes || a.row_bytes / 4 != b.rows) fault("shapes don't match");
  ++multiplication_count;
  for (int i = 0; i < c.rows; ++i) {
    // First and second elements of the pairs add up apart. A product of two bfloat16 is exact, so that this is a fused add.
    float parts[2][kRowBytes / 4] = {};
    for (int k = 0; k < a.row_bytes / 4; ++k) {
      for (int half = 0; half < 2; ++half) {
        const float factor = element(a, i, 2 * k + half);
        for (int j = 0; j < c.row_bytes / 4; ++j) {
          float& part = parts[half][j];
          part = flush(part + factor * element(b, k, 2 * j + half));
        }
      }
    }
    for (int j = 0; j < c.row_bytes / 4; ++j) {
      float sum;
      std::memcpy(&sum, &c.bytes[i][4 * j], sizeof sum);
      sum = flush(flush(sum) + flush(parts[0][j] + parts[1][j]));
      std::memcpy(&c.bytes[i][4 * j], &sum, sizeof sum);
    }
    std::memset(&c.bytes[i][c.row_bytes], 0, static_cast<size_t>(kRowBytes - c.row_bytes));
  }
}

int64_t multiplications() {
  return multiplication_count;
}

int64_t configured() {
  return configured_count;
}

}  // namespace emulated
}  // namespace prunepeft
