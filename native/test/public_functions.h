// The functions of the public headers, read from these, so that a test that asks the same of each of them can't leave a new one
// out. PRUNEPEFT_HEADERS is the folder of the headers.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "check.h"

/** A function as its header declares it, comments apart. */
struct PublicFunction {
  std::string header, name, parameters;
};

class PublicFunctions {
 public:
  PublicFunctions() {
    for (const auto& entry : std::filesystem::directory_iterator(PRUNEPEFT_HEADERS)) {
      std::ifstream file(entry.path());
      std::string text{std::istreambuf_iterator<char>(file), {}};
      text = std::regex_replace(without_comments(text), std::regex("\\s+"), " ");
      for (const auto& [name, parameters] : all_of(text, "PP_API [^;(]*?(pp_\\w+)\\(([^;{}]*)\\) ?;"))
        functions_.push_back({entry.path().filename().string(), name, parameters});
      for (const auto& [name, members] : all_of(text, "typedef struct (pp_\\w+)[A-Z_ ]*\\{([^{}]*)\\}"))
        structs_.push_back({name, members});
      for (const auto& [name, again] : all_of(text, "typedef struct (pp_\\w+) (pp_\\w+) ?;"))
        if (name == again) opaque_.insert(name);
    }
  }

  const std::vector<PublicFunction>& all() const { return functions_; }
  /** The types of objects that callers hold by pointer. */
  const std::set<std::string>& opaque() const { return opaque_; }

  /** Those that take an object of such a type, or a structure that has one. One whose pointer they write is none they take. */
  std::vector<PublicFunction> that_take_objects() const { return that_take(opaque_, "(?!)"); }
  /** Those that take a size of 64 bits, or a structure that has one. */
  std::vector<PublicFunction> that_take_sizes() const { return that_take({}, "\\b(int64_t|size_t) \\w"); }

 private:
  struct Struct {
    std::string name, members;
  };

  static std::string without_comments(const std::string& text) {
    std::string kept;
    for (size_t i = 0; i < text.size();) {
      const bool line = text.compare(i, 2, "//") == 0, block = text.compare(i, 2, "/*") == 0;
      if (!line && !block) {
        kept += text[i++];
        continue;
      }
      const size_t end = text.find(line ? "\n" : "*/", i + 2);
      i = end == std::string::npos ? text.size() : end + (line ? 0 : 2);
    }
    return kept;
  }
  /** What the pattern's two groups are, wherever it is found. */
  static std::vector<std::pair<std::string, std::string>> all_of(const std::string& text, const char* pattern) {
    const std::regex expression(pattern);
    std::vector<std::pair<std::string, std::string>> found;
    for (std::sregex_iterator at(text.begin(), text.end(), expression), end; at != end; ++at)
      found.emplace_back((*at)[1], (*at)[2]);
    return found;
  }

  /** By a pattern of what is passed by value, and by types, to which structures are added that have such members. */
  std::vector<PublicFunction> that_take(std::set<std::string> types, const std::string& value) const {
    const auto has = [&](const std::string& text, const std::string& behind) {
      if (std::regex_search(text, std::regex(value))) return true;
      for (const std::string& type : types)
        if (std::regex_search(text, std::regex("\\b" + type + "(" + behind + ")"))) return true;
      return false;
    };
    for (size_t before = types.size() + 1; before != types.size();) {
      before = types.size();
      for (const Struct& one : structs_)
        if (has(one.members, "\\*| ")) types.insert(one.name);
    }
    std::vector<PublicFunction> found;
    for (const PublicFunction& function : functions_)
      if (has(function.parameters, "\\*(?!\\*)")) found.push_back(function);
    return found;
  }

  std::vector<PublicFunction> functions_;
  std::vector<Struct> structs_;
  std::set<std::string> opaque_;
};

/** Functions for which there is a reason that a test does not try them. */
struct Untried {
  const char* reason;
  std::vector<std::string> functions;
};

/** The functions that a test has tried. */
class TriedFunctions {
 public:
  /** By a function's name, or the text of a call. */
  void add(const std::string& call) { names_.insert(call.substr(0, call.find_first_of(" ("))); }

  /** Each of `functions` must have been tried, or else have a reason, but not both. */
  void check_all(const std::vector<PublicFunction>& functions, const std::vector<Untried>& exceptions) const {
    std::set<std::string> left, excepted;
    for (const PublicFunction& function : functions) left.insert(function.name);
    check::context() = "of the public headers' functions";
    CHECK(left.size() > 1);
    for (const Untried& exception : exceptions) excepted.insert(exception.functions.begin(), exception.functions.end());
    for (const std::string& name : left) {
      const bool tried = names_.count(name) != 0, is_excepted = excepted.count(name) != 0;
      if (!tried && !is_excepted) check::report(__FILE__, __LINE__, name + " is not tried");
      if (tried && is_excepted) check::report(__FILE__, __LINE__, name + " is tried, and no exception");
    }
    for (const std::string& name : excepted)
      if (left.count(name) == 0) check::report(__FILE__, __LINE__, name + " is an exception, and no such function");
  }

 private:
  std::set<std::string> names_;
};

/** CHECK_FAILS of a call that is noted in `tried`. */
#define CHECK_REFUSES(tried, call, part)          \
  do {                                            \
    (tried).add(#call);                           \
    CHECK_FAILS(call, PP_INVALID_ARGUMENT, part); \
  } while (false)
