package org.prunepeft.data.task;

import java.io.ByteArrayInputStream;

/** What tasks read of files that come in jars, of any content, as a jar of another name has it. */
public final class JarData {
  private JarData() {}

  /** Reads a grammar.xml. */
  public static int ruleExamples(byte[] file) {
    return new Acceptability("grammar.xml", () -> new ByteArrayInputStream(file))
        .sentences()
        .size();
  }

  /** Reads a data.noun. */
  public static int glosses(byte[] file) {
    return new WordNetSupersense("data.noun", () -> new ByteArrayInputStream(file))
        .glosses()
        .size();
  }
}
