package org.prunepeft.cli;

import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.testing.MutatedFiles;
import org.prunepeft.testing.ReaderFiles;

/**
 * Some mutated files of each reader at every build; {@code java/fuzz --seed} reads more of them.
 */
@FixedSeed("java/fuzz draws others, millions of them")
class MutatedFilesTest {
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
    MutatedFiles.check(ReadersTest.class, reader, 300);
  }
}
