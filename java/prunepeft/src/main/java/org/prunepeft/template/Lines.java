package org.prunepeft.template;

import java.util.ArrayList;
import java.util.List;

/** Lines of a text, as Python's splitlines() finds them. */
final class Lines {
  private static final String BREAKS = "\n\r\u000b\f\u001c\u001d\u001e\u0085\u2028\u2029";

  private Lines() {}

  static List<String> of(String text, boolean keepEnds) {
    List<String> lines = new ArrayList<>();
    int from = 0;
    for (int i = 0; i < text.length(); i++) {
      if (BREAKS.indexOf(text.charAt(i)) < 0) {
        continue;
      }
      int end = i;
      if (text.startsWith("\r\n", i)) {
        i++;
      }
      lines.add(text.substring(from, keepEnds ? i + 1 : end));
      from = i + 1;
    }
    if (from < text.length()) {
      lines.add(text.substring(from));
    }
    return lines;
  }
}
