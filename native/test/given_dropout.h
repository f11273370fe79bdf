// A dropout mask as calls may be given it: by value, or with its step and micro-batch in memory.
#pragma once

#include "prunepeft/linear.h"

/** Names the same mask as `dropout`; in memory of the CPU, members beside it that name none. */
class GivenDropout {
 public:
  GivenDropout(const pp_dropout& dropout, bool in_memory) : dropout_(dropout), counter_{dropout.step, dropout.micro_batch} {
    if (in_memory) dropout_ = counted(dropout, counter_);
  }
  GivenDropout(const GivenDropout&) = delete;
  const pp_dropout* get() const { return &dropout_; }

  /** What a call is given whose step lies at `counter`: its other members would give other masks, or be refused. */
  static pp_dropout counted(pp_dropout dropout, const uint32_t* counter) {
    dropout.step = ~dropout.step;
    dropout.micro_batch = ~dropout.micro_batch;
    dropout.counter = counter;
    return dropout;
  }

 private:
  pp_dropout dropout_;
  alignas(8) uint32_t counter_[2];
};
