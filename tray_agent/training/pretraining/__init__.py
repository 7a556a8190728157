"""What a game begins with, made beforehand of many games: `tray-agent pretrain`."""
