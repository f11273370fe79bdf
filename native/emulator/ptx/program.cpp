#include "program.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <utility>

#include "instructions.h"

namespace ptx {
namespace {
constexpr size_t kDynamicAlignment = 128;

size_t round_up(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

size_t bytes_of_type(const std::string& type) {  // ".f32", ".b8"
  return std::strtoul(type.c_str() + 2, nullptr, 10) / 8;
}

/** Words (names, numbers, operations) and single signs; comments and strings are skipped. */
class Tokens {
 public:
  explicit Tokens(const std::string& text) : text_(text) { advance(); }
  const std::string& peek() const { return token_; }
  bool at_end() const { return token_.empty(); }
  std::string take() {
    std::string taken = std::move(token_);
    advance();
    return taken;
  }
  bool take_if(const char* token) {
    if (token_ != token) return false;
    advance();
    return true;
  }
  void expect(const char* token) {
    if (!take_if(token)) throw Fault(std::string("expected ") + token + " in PTX, found " + token_);
  }
  void skip_to(const char* token) {
    while (!at_end() && token_ != token) advance();
  }

 private:
  static bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' || c == '%' || c == '.' || c == '-';
  }
  void advance() {
    for (;;) {
      while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) at_++;
      if (text_.compare(at_, 2, "//") == 0) {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (at_ < text_.size() && text_[at_] == '"') {
        at_ = std::min(text_.find('"', at_ + 1), text_.size() - 1) + 1;
      } else {
        break;
      }
    }
    size_t end = at_;
    while (end < text_.size() && is_word(text_[end])) end++;
    if (end == at_ && end < text_.size()) end++;
    token_.assign(text_, at_, end - at_);
    at_ = end;
  }

  const std::string& text_;
  size_t at_ = 0;
  std::string token_;
};

/** ".param .align 8 .b8 name[12]", ".shared .u32 name", without its first word. */
struct Variable {
  std::string name;
  size_t alignment, bytes;

  explicit Variable(Tokens& tokens) {
    alignment = tokens.take_if(".align") ? std::strtoul(tokens.take().c_str(), nullptr, 10) : 0;
    const size_t element = bytes_of_type(tokens.take());
    if (alignment == 0) alignment = element;
    name = tokens.take();
    bytes = element;
    if (!tokens.take_if("[")) return;
    bytes = tokens.peek() == "]" ? 0 : element * std::strtoul(tokens.take().c_str(), nullptr, 10);
    tokens.expect("]");
  }
};

class KernelParser {
 public:
  KernelParser(const std::string& text, const std::string& shared, Kernel* kernel) : kernel_(*kernel) {
    Tokens variables(shared);
    while (!variables.at_end()) add_shared(variables);
    Tokens tokens(text);
    parse_parameters(tokens);
    tokens.skip_to("{");
    tokens.take();
    for (int depth = 1; depth > 0;) {
      if (tokens.at_end()) throw Fault("a kernel without an end");
      if (tokens.take_if("{")) {
        depth++;
      } else if (tokens.take_if("}")) {
        depth--;
      } else {
        parse_statement(tokens);
      }
    }
    finish();
  }

 private:
  void parse_parameters(Tokens& tokens) {
    tokens.expect("(");
    while (!tokens.take_if(")")) {
      tokens.expect(".param");
      const Variable parameter(tokens);
      const size_t offset = round_up(kernel_.parameter_bytes, parameter.alignment);
      symbols_[parameter.name] = offset;
      kernel_.parameter_offsets.push_back(offset);
      kernel_.parameter_sizes.push_back(parameter.bytes);
      kernel_.parameter_bytes = offset + parameter.bytes;
      tokens.take_if(",");
    }
  }

  void add_shared(Tokens& tokens) {
    tokens.expect(".shared");
    const Variable variable(tokens);
    tokens.expect(";");
    if (variable.bytes == 0) {
      dynamic_.push_back(variable.name);
      return;
    }
    const size_t offset = round_up(kernel_.shared_bytes, variable.alignment);
    symbols_[variable.name] = offset;
    kernel_.shared_bytes = offset + variable.bytes;
  }

  void parse_statement(Tokens& tokens) {
    if (tokens.peek() == ".shared") return add_shared(tokens);
    if (tokens.peek() == ".reg") {
      tokens.take();
      tokens.take();
      do {
        const std::string name = tokens.take();
        if (name[0] != '%') register_of(name);  // %r<5> stands for names that show when they are used
        if (tokens.take_if("<")) {
          tokens.take();
          tokens.expect(">");
        }
      } while (tokens.take_if(","));
      return tokens.expect(";");
    }
    if (tokens.peek()[0] == '.') {
      if (tokens.peek() != ".pragma") throw Fault("unknown directive in PTX: " + std::string(tokens.peek()));
      tokens.skip_to(";");
      return tokens.expect(";");
    }
    Instruction instruction;
    if (tokens.take_if("@")) {
      instruction.guard_negated = tokens.take_if("!");
      instruction.guard = static_cast<int>(register_of(tokens.take()));
    }
    instruction.text = tokens.take();
    if (tokens.take_if(":")) {
      labels_[instruction.text] = static_cast<uint32_t>(kernel_.code.size());
      return;
    }
    decode(&instruction);
    parse_operands(tokens, &instruction);
    kernel_.code.push_back(std::move(instruction));
  }

  void parse_operands(Tokens& tokens, Instruction* instruction) {
    for (bool first = true; !tokens.take_if(";"); first = false) {
      if (tokens.take_if("{")) {
        do {
          instruction->operands.push_back(value(tokens.take()));
        } while (tokens.take_if(","));
        tokens.expect("}");
      } else if (tokens.take_if("[")) {
        Operand address = value(tokens.take());
        if (tokens.take_if("+")) address.offset = std::strtoll(tokens.take().c_str(), nullptr, 0);
        tokens.expect("]");
        instruction->operands.push_back(address);
      } else if (instruction->flow == Flow::kBranch) {
        branches_.emplace_back(kernel_.code.size(), tokens.take());
      } else {
        instruction->operands.push_back(value(tokens.take()));
        if (tokens.take_if("|")) instruction->operands.push_back(value(tokens.take()));
      }
      if (first) instruction->first_group = instruction->operands.size();
      tokens.take_if(",");
    }
  }

  /** Of a register, a number, or the address of a variable. */
  Operand value(const std::string& word) {
    const auto symbol = symbols_.find(word);
    if (symbol != symbols_.end()) return {constant(symbol->second), 0};
    if (word[0] == '%' || registers_.count(word) != 0) return {register_of(word), 0};
    if (std::find(dynamic_.begin(), dynamic_.end(), word) != dynamic_.end()) {
      kernel_.shared_bytes = round_up(kernel_.shared_bytes, kDynamicAlignment);
      return {constant(kernel_.shared_bytes), 0};
    }
    const std::string start = word.substr(0, 2);
    if (start == "0f" || start == "0d") return {constant(std::strtoull(word.c_str() + 2, nullptr, 16)), 0};
    char* end = nullptr;
    const uint64_t number =
        word[0] == '-' ? static_cast<uint64_t>(std::strtoll(word.c_str(), &end, 0)) : std::strtoull(word.c_str(), &end, 0);
    if (end == word.c_str() || *end != 0) throw Fault("unknown operand in PTX: " + word);
    return {constant(number), 0};
  }

  uint32_t constant(uint64_t number) {
    const auto [at, is_new] = constants_.try_emplace(number, kernel_.registers);
    if (is_new) kernel_.constants.emplace_back(kernel_.registers++, number);
    return at->second;
  }

  uint32_t register_of(const std::string& name) {
    const auto [at, is_new] = registers_.try_emplace(name, kernel_.registers);
    if (is_new) kernel_.registers++;
    return at->second;
  }

  void finish() {
    for (const auto& [place, label] : branches_) {
      const auto target = labels_.find(label);
      if (target == labels_.end()) throw Fault("a branch to no label: " + label);
      kernel_.code[place].target = target->second;
    }
    static const std::pair<const char*, Special> kSpecials[] = {
        {"%tid.x", Special::kThreadX},    {"%tid.y", Special::kThreadY},    {"%tid.z", Special::kThreadZ},
        {"%ctaid.x", Special::kBlockX},   {"%ctaid.y", Special::kBlockY},   {"%ctaid.z", Special::kBlockZ},
        {"%nctaid.x", Special::kBlocksX}, {"%nctaid.y", Special::kBlocksY}, {"%nctaid.z", Special::kBlocksZ},
        {"%ntid.x", Special::kThreadsX}};
    for (const auto& [name, special] : kSpecials) {
      const auto at = registers_.find(name);
      if (at != registers_.end()) kernel_.specials.emplace_back(at->second, special);
    }
    for (const auto& [name, index] : registers_)
      if (name.find('.') != std::string::npos &&
          std::none_of(kernel_.specials.begin(), kernel_.specials.end(),
                       [index = index](const auto& special) { return special.first == index; }))
        throw Fault("unknown special register in PTX: " + name);
  }

  Kernel& kernel_;
  std::unordered_map<std::string, size_t> symbols_;
  std::unordered_map<std::string, uint32_t> registers_, labels_;
  std::unordered_map<uint64_t, uint32_t> constants_;
  std::vector<std::pair<size_t, std::string>> branches_;
  std::vector<std::string> dynamic_;  // arrays that have what the launch gives
};
}  // namespace

void Program::add(const std::string& text) {
  static const std::string kEntry = ".entry ", kShared = ".shared ";
  std::string shared;
  size_t place = text.find(kEntry);
  for (size_t at = text.find(kShared); at < place; at = text.find(kShared, at + 1))
    shared += text.substr(at, text.find(';', at) + 1 - at);
  while (place != std::string::npos) {
    const size_t parameters = text.find('(', place), next = text.find(kEntry, parameters);
    const std::string name = text.substr(place + kEntry.size(), parameters - place - kEntry.size());
    sources_[name] = {text.substr(parameters, next - parameters), shared, false, {}};
    place = next;
  }
}

const Kernel* Program::find(const std::string& name) {
  const auto at = sources_.find(name);
  if (at == sources_.end()) return nullptr;
  Source& source = at->second;
  if (!source.parsed) {
    source.kernel = {};  // an earlier try may have failed
    KernelParser(source.text, source.shared, &source.kernel);
  }
  source.parsed = true;
  return &source.kernel;
}
}  // namespace ptx
