package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.testing.MutatedFiles;
import org.prunepeft.testing.ReaderFiles;
import org.prunepeft.testing.Reading;
import org.prunepeft.testing.TestSeed;

/**
 * Some mutated files of each reader at every build; {@code java/fuzz --seed} reads more of them.
 */
class MutatedFilesTest {
  private static final int FILES = 300;

  /** Far more than a busy machine takes; a reading has a bound of its own ({@link Reading}). */
  private static final double SECONDS = 600;

  static List<String> readers() throws IOException {
    return ReaderFiles.names(ReadersTest.class);
  }

  @AfterAll
  static void clean() throws IOException {
    ReadersTest.clean();
  }

  @ParameterizedTest
  @MethodSource("readers")
  void areReadOrRefused(String reader) throws Exception {
    MutatedFiles files = new MutatedFiles(ReadersTest.class, reader, TestSeed.draw());
    for (var failure : files.read(FILES, SECONDS)) {
      throw new AssertionError(
          "failed at the bytes " + HexFormat.of().formatHex(failure.file()), failure.how());
    }
    assertEquals(FILES, files.inputs());
  }
}
