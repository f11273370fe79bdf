def pooled(hidden, mask):
    """Each text's last token, which alone sees the whole text."""
    if mask is None:
        return hidden[:, -1]
    mask = mask.to(hidden.device).long()
    last = (mask.cumsum(1) * mask).argmax(1)
    return hidden[torch.arange(len(last), device=hidden.device), last]
