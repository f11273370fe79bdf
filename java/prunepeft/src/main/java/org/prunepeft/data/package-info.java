/**
 * Tasks and their examples, in plain arrays.
 *
 * <p>A {@link org.prunepeft.data.Task} draws a {@link org.prunepeft.data.Dataset} of texts and
 * labels, which its {@link org.prunepeft.data.Schema} explains; {@link
 * org.prunepeft.data.task.Tasks} knows the tasks that have a name. Own files are {@link
 * org.prunepeft.data.task.DataFiles}, whose {@link org.prunepeft.data.Columns} say where texts and
 * labels are; {@link org.prunepeft.data.task.DatasetDirectory} finds the files of a data set of
 * Hugging Face's hub. All draws are functions of a seed and are the same on every machine and JDK.
 */
package org.prunepeft.data;
