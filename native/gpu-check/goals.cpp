// What this project set out to reach on an H100, beside what the table of a run says of it.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <limits>

#include "device.h"
#include "shapes.h"

namespace gpu_check {
namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/** What lies between `before` and `after`, the first time it comes; "" if it doesn't. */
std::string between(const std::string& text, const std::string& before, const std::string& after) {
  const size_t found = text.find(before);
  if (found == std::string::npos) return "";
  const size_t begin = found + before.size();
  return text.substr(begin, text.find(after, begin) - begin);
}

/** Infinite if it was not measured. */
struct Measured {
  double value;
  bool host_bound;

  Measured& operator+=(const Measured& other) {
    value += other.value;
    host_bound = host_bound || other.host_bound;
    return *this;
  }
};

Measured operator+(Measured a, const Measured& b) {
  return a += b;
}

Measured over(const Measured& a, const Measured& b) {
  return {b.value < kInfinity ? a.value / b.value : kInfinity, a.host_bound || b.host_bound};
}

/** The table that time_all writes and torch_baseline.py adds to: all that is read here are its flat rows. */
class Results {
 public:
  explicit Results(const std::string& json)
      : is_complete_(json.find("\"complete\": true") != std::string::npos),
        copy_(number(json, "copy_GBps")),
        rows_(in_bfloat16(json, "rows")),
        choices_(in_bfloat16(json, "choices")) {}

  /** Whether the timings came to their end; what there was no time for is none of it. */
  bool is_complete() const { return is_complete_; }

  /** Microseconds of a call; infinite if it was left out. */
  Measured time(const std::string& group, const std::string& call) const {
    for (const std::string& row : rows_)
      if (text(row, "group") == group && text(row, "call") == call) return {number(row, "us"), is_host_bound(row)};
    return {kInfinity, false};
  }

  /** A path of a LoRA linear in a direction, under dropout or without. */
  struct Path {
    std::string name;
    double microseconds, over_frozen;
    bool host_bound;
  };
  /** Of all that were timed, those among them that nobody gets who does not ask for them. */
  Path fastest(const std::string& group, const std::string& direction, bool dropout = true) const {
    Path best = {"", kInfinity, kInfinity, false};
    for (const std::string& row : rows_) {
      const std::string call = text(row, "call");
      const bool is_path = call.rfind(direction + ", ", 0) == 0 && (call.find(", dropout") != std::string::npos) == dropout &&
                           call.find("as a graph") == std::string::npos;
      if (text(row, "group") != group || !is_path || number(row, "us") >= best.microseconds) continue;
      best = path(between(call + ", dropout", direction + ", ", ", dropout"), row);
    }
    return best;
  }

  /** The one that the library takes by itself. */
  Path chosen(const std::string& group, const std::string& direction, bool dropout = true) const {
    for (const std::string& choice : choices_) {
      if (text(choice, "group") != group || between(choice + ",", "\"dropout\": ", ",") != (dropout ? "true" : "false"))
        continue;
      const std::string name = text(choice, direction), call = direction + ", " + name + (dropout ? ", dropout" : "");
      for (const std::string& row : rows_)
        if (text(row, "group") == group && text(row, "call") == call) return path(name, row);
    }
    return {"", kInfinity, kInfinity, false};
  }

  /** What eight adapters that share out the rows take in one call, over one adapter on all rows: of such calls together. */
  Measured eight_over_one(const std::string& group, const std::vector<std::string>& calls) const {
    Measured eight = {0, false}, one = {0, false};
    for (const std::string& call : calls) {
      one += time(group, call);
      eight += time(group, call + ", 8 modules");
    }
    return over(eight, one);
  }

  /** The share of the copy bandwidth at which a call moves its bytes, unless they may have been in the L2 cache. */
  Measured share_of_copy(const std::string& group, const std::string& call) const {
    for (const std::string& row : rows_)
      if (text(row, "group") == group && text(row, "call") == call && row.find("\"L2_warm\": true") == std::string::npos)
        return {number(row, "bytes") / number(row, "us") * 1e-3 / copy_, is_host_bound(row)};
    return {kInfinity, false};
  }

 private:
  /** The flat objects of a list, as far as they are of that type. */
  static std::vector<std::string> in_bfloat16(const std::string& json, const std::string& list) {
    std::vector<std::string> found;
    const std::string all = between(json, "\"" + list + "\": [", "]");
    for (size_t begin = all.find('{'); begin != std::string::npos; begin = all.find('{', begin + 1)) {
      const std::string one = all.substr(begin, all.find('}', begin) - begin);
      if (text(one, "dtype") == "bfloat16") found.push_back(one);
    }
    return found;
  }
  static std::string text(const std::string& row, const std::string& field) {
    return between(row, "\"" + field + "\": \"", "\"");
  }
  /** Whether its time, or one that it is compared with, is of how fast the host enqueues. */
  static bool is_host_bound(const std::string& row) { return row.find("\"host_bound\": true") != std::string::npos; }
  static Path path(const std::string& name, const std::string& row) {
    return {name, number(row, "us"), number(row, "over_frozen"), is_host_bound(row)};
  }
  /** Infinite if the field is missing. */
  static double number(const std::string& row, const std::string& field) {
    const std::string value = between(row, "\"" + field + "\": ", ",");
    return value.empty() ? kInfinity : strtod(value.c_str(), nullptr);
  }

  bool is_complete_;
  double copy_;
  std::vector<std::string> rows_, choices_;
};

void print(const std::string& what, const std::string& measured, const char* goal) {
  printf("  %-100s %-28s %s\n", what.c_str(), measured.c_str(), goal);
}

/** `of`: what of it was measured. */
std::string format(const char* pattern, const Measured& measured, const std::string& of = "") {
  if (!(measured.value < kInfinity)) return "not measured";
  char text[64];
  snprintf(text, sizeof text, pattern, measured.value);
  return text + (of.empty() ? "" : " (" + of + ")") + (measured.host_bound ? " (host-bound)" : "");
}

/** Two lines: the fastest of all paths, and the one that a caller gets. */
void print_over_frozen(const Results& results, const std::string& group, const std::string& direction, bool dropout,
                       const char* goal) {
  const std::string what = group + (dropout ? ", dropout 0.1: " : ": ") + direction + " over the frozen linear";
  const auto text = [](const Results::Path& path) {
    return format("%+.1f %%", {100 * path.over_frozen, path.host_bound}, path.name);
  };
  print(what + ", as chosen", text(results.chosen(group, direction, dropout)), goal);
  print(what + ", best of all paths", text(results.fastest(group, direction, dropout)), goal);
}
}  // namespace

int print_goals(const char* json_path) {
  std::ifstream file(json_path);
  const std::string json((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const Results results(json);
  printf("Goals, which are for an H100 and bfloat16, beside what this run measured:\n");
  print("", "measured", "goal");
  for (const auto& [direction, goal] : {std::pair<const char*, const char*>{"forward", "+6 %"}, {"backward", "+12 %"}})
    print_over_frozen(results, group_name(kLlama), direction, true, goal);
  for (const bool dropout : {false, true}) print_over_frozen(results, group_name(kLlamaQkv), "forward", dropout, "+3 %");
  const std::vector<std::string> skinny = {"lora_down, dropout", "lora_up", "lora_grad_up", "lora_grad_down, dropout",
                                           "lora_grad_input, dropout"};
  const auto print_eight = [&](const std::string& which, const std::vector<std::string>& calls) {
    print(group_name(kLlama) + ": eight adapters over one, " + which,
          format("%.2f times", results.eight_over_one(group_name(kLlama), calls)), "1.15 times");
  };
  for (const std::string& call : skinny) print_eight(call, {call});
  print_eight("skinny calls with dropout", skinny);
  const std::string roberta = group_name(kRobertaLarge);
  const auto time_of = [](const Results::Path& path) { return Measured{path.microseconds, path.host_bound}; };
  const Measured eager =
      results.time(roberta, "torch forward, eager, dropout") + results.time(roberta, "torch backward, eager, dropout");
  const std::string eager_over_ours = roberta + ", dropout 0.1: eager over ours, forward and backward";
  const Measured chosen = time_of(results.chosen(roberta, "forward")) + time_of(results.chosen(roberta, "backward"));
  const Measured best = time_of(results.fastest(roberta, "forward")) + time_of(results.fastest(roberta, "backward"));
  for (const auto& [which, ours] : {std::pair<const char*, Measured>{", as chosen", chosen}, {", best of all paths", best}})
    print(eager_over_ours + which, format("%.2f times", over(eager, ours)), "2 times");
  const Measured share = results.share_of_copy(kLlamaModules, "importance");
  print("importance of 448 tensors (" + std::string(kLlamaModules) + "), cold, of copy",
        format("%.0f %%", {100 * share.value, share.host_bound}), "90 %");
  if (file.is_open() && !results.is_complete())
    printf("  The timings ended before their end; what was not measured may be among what they did not come to.\n");
  if (!file.is_open()) {
    fprintf(stderr, "%s: cannot be read\n", json_path);
    return 1;
  }
  return 0;
}
}  // namespace gpu_check
