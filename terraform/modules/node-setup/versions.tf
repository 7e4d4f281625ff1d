terraform {
  # Variables that are held against each other need 1.9.
  required_version = ">= 1.9"
}
