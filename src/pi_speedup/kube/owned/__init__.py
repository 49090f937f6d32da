"""What is ours in a cluster: by whose uid, under whose claim, with which rights, and its removal."""
