/**
 * Conversations: rows of messages as the texts that a language model learns.
 *
 * <p>A {@link org.prunepeft.data.chat.ChatFormat} has a model's chat template and what goes into
 * it; {@link org.prunepeft.data.chat.Chat} writes conversations by it; {@link
 * org.prunepeft.data.chat.ConversationFile} reads them from files.
 */
package org.prunepeft.data.chat;
