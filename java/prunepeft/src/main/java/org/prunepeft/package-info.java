/**
 * The calls: a search, a training, and what becomes of their results.
 *
 * <p>{@link org.prunepeft.PrunePeft} searches and trains, as {@link org.prunepeft.settings.Setup}
 * and {@link org.prunepeft.settings.SearchSettings} say, and reports to a {@link
 * org.prunepeft.report.ProgressListener}. A run directory is loaded back as a {@link
 * org.prunepeft.TrainedModel}, and becomes files of other libraries, or comes from them, by {@link
 * org.prunepeft.AdapterExport} and {@link org.prunepeft.AdapterImport}.
 */
package org.prunepeft;
