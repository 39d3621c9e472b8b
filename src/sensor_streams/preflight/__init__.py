"""What will lose data or fail, found before the first batch does. It reads, and changes nothing."""
