// In place of core/amx.cpp: the emulator can be used anywhere.
#include "core/amx.h"

bool prunepeft::may_use_amx() {
  return true;
}
