package org.prunepeft.train.loop;

/** Whether a text that was written is the answer that was wanted. */
final class ExactMatch {
  /** What GSM8K's answers have ahead of their result. */
  private static final String MARK = "####";

  private ExactMatch() {}

  /**
   * Whether texts are equal but for spaces around them. Where the wanted one has {@code ####}, only
   * what stands behind it in that line is compared, without the commas, the dollar sign and the
   * full stop of a number.
   *
   * @param written by the model
   * @param wanted the answer
   */
  static boolean of(String written, String wanted) {
    if (!wanted.contains(MARK)) {
      return written.strip().equals(wanted.strip());
    }
    return written.contains(MARK) && result(written).equals(result(wanted));
  }

  private static String result(String text) {
    String behind = text.substring(text.indexOf(MARK) + MARK.length()).strip();
    return behind.lines().findFirst().orElse("").replaceAll("[,$]|\\.$", "").strip();
  }
}
