// Which kernels the emulator has run, and how often.
#pragma once

#include <cstdint>
#include <string>

namespace simt {
uint64_t launches();
/**
 * Of the kernel of that name, without its namespace, whatever its template's arguments; or of those instances alone whose
 * mangled arguments have this in them, as "Lb1ELb0E": true, then false.
 */
uint64_t launches(const std::string& kernel, const std::string& arguments = "");
/** Streams and events that have been made and not freed. */
int64_t streams_and_events();
/** How often a stream was told to wait for an event. */
uint64_t waits_for_events();
/** The symbol of a function of this program, as the compiler has named it; "?" if it has none. It takes nm. */
std::string symbol_of(const void* function);
}  // namespace simt
