/**
 * Rows of TSV, CSV, JSON Lines and Parquet files as examples.
 *
 * <p>An {@link org.prunepeft.data.table.ExampleFile} gives the texts and labels of the {@link
 * org.prunepeft.data.Columns} that are named; a {@link org.prunepeft.data.table.LabelReader} turns
 * labels into the targets of a {@link org.prunepeft.data.Schema}.
 */
package org.prunepeft.data.table;
