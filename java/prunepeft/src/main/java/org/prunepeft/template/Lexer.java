package org.prunepeft.template;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Cuts a source into tokens; whitespace around tags goes here. */
final class Lexer {
  /** Longest first. */
  private static final List<String> OPERATORS =
      List.of(
          "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{",
          "}", ">", "<", "=", ".", ":", "|", ",", ";");

  private static final Pattern FLOAT =
      Pattern.compile("(?:\\d+_)*+\\d+(?:(?:\\.(?:\\d+_)*+\\d+)?[eE][+-]?\\d+|\\.(?:\\d+_)*+\\d+)");
  private static final Pattern INTEGER =
      Pattern.compile(
          "0[bB](?:_?[01])++|0[oO](?:_?[0-7])++|0[xX](?:_?[0-9a-fA-F])++|\\d++(?:_\\d++)*+");
  private static final Pattern RAW_BEGIN = Pattern.compile("\\{%([-+]?)\\s*+raw\\s*+(-?)%}");
  private static final Pattern RAW_END = Pattern.compile("\\{%([-+]?)\\s*+endraw\\s*+([-+]?)%}");

  private final String source;
  private final List<Token> tokens = new ArrayList<>();
  private int position;
  private int line = 1;

  private Lexer(String source) {
    this.source = source;
  }

  /** The tokens of a source; the last is END. */
  static List<Token> tokens(String source) {
    String lines = source.replace("\r\n", "\n").replace('\r', '\n');
    Lexer lexer = new Lexer(lines.endsWith("\n") ? lines.substring(0, lines.length() - 1) : lines);
    lexer.run();
    return lexer.tokens;
  }

  private void run() {
    while (position < source.length()) {
      int tag = nextTag();
      if (tag < 0) {
        text(source.length(), "", false);
        break;
      }
      Matcher raw = RAW_BEGIN.matcher(source).region(tag, source.length());
      if (raw.lookingAt()) {
        raw(tag, raw);
        continue;
      }
      String sign = sign(tag + 2);
      char kind = source.charAt(tag + 1);
      text(tag, sign, kind != '{');
      int begin = line;
      advance(tag + 2 + sign.length());
      if (kind == '#') {
        comment(begin);
      } else {
        tag(kind == '%', begin);
      }
    }
    add(TokenType.END, "", line);
  }

  /** Where the next tag begins; -1 if there is none. */
  private int nextTag() {
    for (int at = source.indexOf('{', position); at >= 0; at = source.indexOf('{', at + 1)) {
      if (at + 1 < source.length() && "{%#".indexOf(source.charAt(at + 1)) >= 0) {
        return at;
      }
    }
    return -1;
  }

  /** "-", "+" or nothing. */
  private String sign(int at) {
    boolean signed = at < source.length() && "-+".indexOf(source.charAt(at)) >= 0;
    return signed ? source.substring(at, at + 1) : "";
  }

  /** The text up to a tag, without the spaces that the tag takes. */
  private void text(int end, String sign, boolean block) {
    int to = end;
    if (sign.equals("-")) {
      to = TextOperations.endWithoutSpaces(source, position, end);
    } else if (block && !sign.equals("+")) {
      int from = end;
      while (from > position && source.charAt(from - 1) != '\n' && isSpace(from - 1)) {
        from--;
      }
      if (from == 0 || source.charAt(from - 1) == '\n') {
        to = from;
      }
    }
    if (to > position) {
      add(TokenType.TEXT, source.substring(position, to), line);
    }
    advance(end);
  }

  private boolean isSpace(int at) {
    return TextOperations.isSpace(source.charAt(at));
  }

  private void raw(int tag, Matcher begin) {
    int opened = line;
    text(tag, begin.group(1), true);
    advance(begin.end());
    if (begin.group(2).equals("-")) {
      skipSpaces();
    }
    Matcher end = RAW_END.matcher(source).region(position, source.length());
    if (!end.find()) {
      throw new TemplateException(opened, "raw has no {% endraw %}");
    }
    text(end.start(), end.group(1), true);
    advance(end.end());
    afterTag(end.group(2), true);
  }

  private void comment(int begin) {
    int end = source.indexOf("#}", position);
    if (end < 0) {
      throw new TemplateException(begin, "the comment is not closed; it needs #}");
    }
    String sign = end > position ? sign(end - 1) : "";
    advance(end + 2);
    afterTag(sign, true);
  }

  private void tag(boolean block, int begin) {
    String close = block ? "%}" : "}}";
    add(block ? TokenType.BLOCK_BEGIN : TokenType.OUTPUT_BEGIN, block ? "{%" : "{{", begin);
    Deque<String> open = new ArrayDeque<>();
    while (true) {
      skipSpaces();
      if (position >= source.length()) {
        throw new TemplateException(begin, "the tag is not closed; it needs " + close);
      }
      String sign = sign(position);
      boolean signed = sign.equals("-") || block && sign.equals("+");
      if (open.isEmpty()
          && (source.startsWith(close, position)
              || signed && source.startsWith(close, position + 1))) {
        String written = source.startsWith(close, position) ? "" : sign;
        add(block ? TokenType.BLOCK_END : TokenType.OUTPUT_END, close, line);
        advance(position + written.length() + 2);
        afterTag(written, block);
        return;
      }
      token(open);
    }
  }

  /** Spaces after a tag: all, or the line break after a block or comment. */
  private void afterTag(String sign, boolean block) {
    if (sign.equals("-")) {
      skipSpaces();
    } else if (block && sign.isEmpty() && source.startsWith("\n", position)) {
      advance(position + 1);
    }
  }

  private void token(Deque<String> open) {
    char c = source.charAt(position);
    boolean member = source.charAt(position - 1) == '.';
    boolean digit = c >= '0' && c <= '9';
    if (digit && (!member && match(FLOAT, TokenType.FLOAT) || match(INTEGER, TokenType.INTEGER))) {
      return;
    }
    if (c == '\'' || c == '"') {
      string(c);
    } else if (c == '_' || Character.isUnicodeIdentifierStart(c)) {
      int end = position + 1;
      while (end < source.length() && Character.isUnicodeIdentifierPart(source.charAt(end))) {
        end++;
      }
      take(TokenType.NAME, end);
    } else {
      operator(open);
    }
  }

  private boolean match(Pattern pattern, TokenType type) {
    Matcher matcher = pattern.matcher(source).region(position, source.length());
    boolean found = matcher.lookingAt();
    if (found) {
      take(type, matcher.end());
    }
    return found;
  }

  private void operator(Deque<String> open) {
    String operator = null;
    for (int i = 0; i < OPERATORS.size() && operator == null; i++) {
      operator = source.startsWith(OPERATORS.get(i), position) ? OPERATORS.get(i) : null;
    }
    if (operator == null) {
      throw new TemplateException(
          line,
          "unexpected character '%s'".formatted(TextOperations.characterAt(source, position)));
    }
    if ("([{".contains(operator)) {
      open.push(operator.equals("(") ? ")" : operator.equals("[") ? "]" : "}");
    } else if (")]}".contains(operator) && !operator.equals(open.poll())) {
      throw new TemplateException(line, "'%s' closes nothing".formatted(operator));
    }
    take(TokenType.OPERATOR, position + operator.length());
  }

  private void string(char quote) {
    int end = position + 1;
    while (end < source.length() && source.charAt(end) != quote) {
      end += source.charAt(end) == '\\' ? 2 : 1;
    }
    if (end >= source.length()) {
      throw new TemplateException(line, "the string is not closed; it needs " + quote);
    }
    add(TokenType.STRING, TextOperations.unescaped(source.substring(position + 1, end)), line);
    advance(end + 1);
  }

  private void take(TokenType type, int end) {
    add(type, source.substring(position, end), line);
    advance(end);
  }

  private void add(TokenType type, String text, int at) {
    tokens.add(new Token(type, text, at));
  }

  private void skipSpaces() {
    int end = position;
    while (end < source.length() && isSpace(end)) {
      end++;
    }
    advance(end);
  }

  private void advance(int to) {
    for (int i = position; i < to; i++) {
      if (source.charAt(i) == '\n') {
        line++;
      }
    }
    position = to;
  }
}
