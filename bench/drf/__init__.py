"""Django REST framework as usually written: a model, a serializer, a view set."""
