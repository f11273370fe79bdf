package org.prunepeft.kernels;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.annotation.Cast;
import org.bytedeco.javacpp.annotation.Name;
import org.bytedeco.javacpp.annotation.Platform;
import org.bytedeco.javacpp.annotation.Properties;

/** What the running process has in memory and need not have, on Linux. */
@Properties(
    value = @Platform(value = "linux", include = "sys/mman.h", library = "jniProcessMemory"))
public final class ProcessMemory {
  /** Whether the process does nothing else, so that no file is unmapped while its pages go. */
  static final String OWN = "prunepeft.own-process";

  private static final Path MAPPINGS = Path.of("/proc/self/smaps");

  /** From, to, and the file of a mapping that nobody may write. */
  private static final Pattern READ_ONLY_FILE =
      Pattern.compile("(\\p{XDigit}+)-(\\p{XDigit}+) r-[x-][ps] \\S+ \\S+ \\S+ +/.*");

  private static final Pattern MAPPING = Pattern.compile("\\p{XDigit}+-\\p{XDigit}+ .*");

  /** Of a mapping that has pages of its own in place of the file's: a library's, once linked. */
  private static final Pattern CHANGED = Pattern.compile("(Anonymous|Swap): +[1-9].*");

  private static final int HEXADECIMAL = 16;

  /** Linux's MADV_DONTNEED. */
  private static final int DONT_NEED = 4;

  private ProcessMemory() {}

  /**
   * Gives back what has been freed, which the C library would keep. Where the system property
   * {@value #OWN} is true, also pages of libraries and other files that nobody has changed: what is
   * read again comes from the system's file cache, in a millisecond or two in all. For the end of a
   * start, which has read much that is not read again. Does nothing on other systems.
   */
  public static void giveBack() {
    if (!Files.isReadable(MAPPINGS)) {
      return;
    }
    Pointer.trimMemory();
    if (Boolean.getBoolean(OWN)) {
      giveBackPages();
    }
  }

  /** No other thread may unmap files meanwhile: what took their place would be lost. */
  static void giveBackPages() {
    NativeLibraries.load(ProcessMemory.class);
    try {
      unchanged(Files.readAllLines(MAPPINGS))
          .forEach(range -> madvise(range.from, range.to - range.from, DONT_NEED));
    } catch (IOException e) {
      // What cannot be listed stays.
    }
  }

  /** Addresses, the last not included. */
  record Range(long from, long to) {}

  /**
   * {@return the mappings whose pages are those of their files}
   *
   * @param smaps lines of the system's list
   */
  static List<Range> unchanged(List<String> smaps) {
    List<Range> ranges = new ArrayList<>();
    boolean last = false;
    for (String line : smaps) {
      Matcher file = READ_ONLY_FILE.matcher(line);
      if (file.matches()) {
        ranges.add(new Range(address(file.group(1)), address(file.group(2))));
        last = true;
      } else if (MAPPING.matcher(line).matches()) {
        last = false;
      } else if (last && CHANGED.matcher(line).matches()) {
        ranges.remove(ranges.size() - 1);
        last = false;
      }
    }
    return ranges;
  }

  private static long address(String digits) {
    return Long.parseUnsignedLong(digits, HEXADECIMAL);
  }

  @Name("madvise")
  private static native int madvise(
      @Cast("void*") long address, @Cast("size_t") long length, int advice);
}
