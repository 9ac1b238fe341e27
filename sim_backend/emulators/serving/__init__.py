"""How an emulated instrument is reached: links, faults on them, and who watches."""
