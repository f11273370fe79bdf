package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.prunepeft.cli.Table.Cell;

class TableTest {
  @Test
  void inMarkdownBarsAndLineBreaksStayInTheirCells() {
    Table table =
        new Table(
            List.of("a|b", "n"),
            List.of(
                List.of(Cell.of("x | y"), Cell.of(1)),
                List.of(Cell.of("one\r\ntwo"), Cell.of(20)),
                List.of(Cell.of("c\\|d\\e"), Cell.of(300))));
    assertEquals(
        """
        | a\\|b     |   n |
        | -------- | --: |
        | x \\| y   |   1 |
        | one two  |  20 |
        | c\\\\\\|d\\e | 300 |
        """,
        table.text(Table.Format.MD));
  }

  @Test
  void inCsvTheyStayAsTheyAre() {
    Table table = new Table(List.of("a"), List.of(List.of(Cell.of("x|y\nz"))));
    assertEquals("a\n\"x|y\nz\"\n", table.text(Table.Format.CSV));
  }
}
