package org.prunepeft.data.table;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;
import org.prunepeft.data.Place;

/** Shards that are texts, one after the other; each has its header where tables have one. */
final class ShardReader implements TableReader {
  private final List<Path> shards;
  private final Function<Path, TableReader> opened;
  private int shard;
  private TableReader reader;

  /**
   * @param opened opens a shard
   */
  ShardReader(List<Path> shards, Function<Path, TableReader> opened) {
    this.shards = List.copyOf(shards);
    this.opened = opened;
    reader = opened.apply(shards.get(0));
  }

  /** A row's cells or values, by which a shard is read. */
  private interface Row<T> {
    T of(TableReader reader) throws IOException;
  }

  private <T> T next(Row<T> row) throws IOException {
    T next = row.of(reader);
    while (next == null && shard + 1 < shards.size()) {
      reader.close();
      reader = opened.apply(shards.get(++shard));
      next = row.of(reader);
    }
    return next;
  }

  @Override
  public List<String> next() throws IOException {
    return next(TableReader::next);
  }

  @Override
  public List<JsonNode> values() throws IOException {
    return next(TableReader::values);
  }

  @Override
  public List<String> columns() throws IOException {
    return reader.columns();
  }

  @Override
  public List<String> classes(String column) {
    return reader.classes(column);
  }

  @Override
  public boolean isNumber(int cell) {
    return reader.isNumber(cell);
  }

  @Override
  public Place place() {
    return reader.place();
  }

  @Override
  public void close() throws IOException {
    reader.close();
  }
}
