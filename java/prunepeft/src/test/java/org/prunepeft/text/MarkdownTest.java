package org.prunepeft.text;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

class MarkdownTest {
  @Test
  void columnsAreAsWideAsTheirWidestCell() {
    assertEquals(
        """
        | layer | lora    | x   |
        | ----: | ------- | --- |
        |     0 | round 1 |     |
        |    10 | kept    | b   |
        """,
        Markdown.table(
            List.of("layer", "lora", "x"),
            List.of(List.of("0", "round 1", ""), List.of("10", "kept", "b")),
            i -> i == 0));
  }

  @Test
  void cellsOfMoreThan64CharactersWidenNothing() {
    String widest = "a".repeat(64);
    assertEquals(
        """
        | head                                                             |   n |
        | ---------------------------------------------------------------- | --: |
        | %s |   1 |
        | %sb |   2 |
        """
            .formatted(widest, widest),
        Markdown.table(
            List.of("head", "n"),
            List.of(List.of(widest, "1"), List.of(widest + "b", "2")),
            i -> i == 1));
  }

  @Test
  void barsAndLineBreaksStayInTheirCells() {
    assertEquals(
        """
        | a\\|b | c   |
        | ---- | --- |
        | x y  |     |
        """,
        Markdown.table(List.of("a|b", "c"), List.of(List.of("x\ny", "")), i -> false));
  }
}
